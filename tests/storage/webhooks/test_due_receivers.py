"""Which receivers have a delivery due, how they are distinguished, and what finding them reads."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import ColumnElement, Text, case, cast, insert, update

from benchmarks.figures.explain import explained
from storage.db.database import Database
from storage.queries.filter import database_time
from storage.webhooks import due_receivers
from storage.webhooks.claim_delivery import Wanted, claim_deliveries
from storage.webhooks.due_receivers import DueOwner, owners_due
from tests.storage.many_rows import insert_copies, random_id
from tests.storage.table import TableUnderTest
from tests.storage.webhooks.test_deliveries import ended

SHOP = "https://shop.example.com"
DEAD = 20_000


def due(db: Database, after: Mapping[str, str] | None = None) -> list[DueOwner]:
    """All owners with something due."""
    return owners_due(db, after_owner="", after_receivers=after or {}, limit=10)


@pytest.mark.parametrize(
    ("target", "receiver"),
    [
        (f"{SHOP}/done", SHOP),
        (f"{SHOP}/a/b?c=//d", SHOP),
        (f"{SHOP}?id=1", SHOP),
        (f"{SHOP}#x/y", SHOP),
        (SHOP, SHOP),
        ("HTTPS://Shop.Example.com:8443/X", f"{SHOP}:8443"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("celery:shop%2Fone/shop.Made", "celery:shop%2fone/shop.made"),
    ],
)
def test_a_receiver_is_scheme_host_and_port(
    table: TableUnderTest, target: str, receiver: str
) -> None:
    """Or queue and task; both databases find the same one."""
    ended(table, url=target)
    assert due(table.db) == [DueOwner("ada", [receiver])]
    (claimed,) = claim_deliveries(table.db, [Wanted("ada", receiver, 9)], token=uuid4(), lease_s=60)
    assert (claimed.receiver, claimed.delivery.target) == (receiver, target)


def test_receivers_are_found_owner_by_owner(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of each owner at a time; the next query continues behind them."""
    monkeypatch.setattr(due_receivers, "MOST_RECEIVERS", 2)
    for name in "abc":
        for _ in range(2):
            ended(table, url=f"https://{name}/")
    ended(table, owner="bob", url="https://b/")
    first = due(table.db)
    assert first == [
        DueOwner("ada", ["https://a", "https://b"], last="https://b"),
        DueOwner("bob", ["https://b"]),
    ]
    second = due(table.db, {"ada": "https://b"})
    assert second == [DueOwner("ada", ["https://c"]), DueOwner("bob", ["https://b"])]
    assert due(table.db, {"ada": "https://c"})[0] == DueOwner("ada")


def test_a_receiver_with_nothing_due_is_passed_over(table: TableUnderTest) -> None:
    """What waits for its next attempt is looked at, and not returned."""
    ended(table, url="https://later/")
    claim_deliveries(table.db, [Wanted("ada", "https://later", 9)], token=uuid4(), lease_s=60)
    assert due(table.db) == []
    ended(table, url="https://now/")
    assert due(table.db) == [DueOwner("ada", ["https://now"])]


def test_deliveries_of_several_receivers_are_claimed_at_once(table: TableUnderTest) -> None:
    """Each as many as are wanted, the longest due first, and none of another receiver's."""
    jobs = {name: [ended(table, url=f"https://{name}/") for _ in range(3)] for name in "abc"}
    bobs = ended(table, owner="bob", url="https://a/")
    rows = table.db.tables.deliveries
    with table.db.begin() as connection:
        for ids in jobs.values():  # the last one is due first
            late = update(rows).where(rows.c.job_id == ids[2])
            connection.execute(late.values(next_attempt_at=table.job(ids[0]).accepted_at))
    wanted = [Wanted("ada", "https://a", 1), Wanted("ada", "https://b", 2)]
    wanted.append(Wanted("bob", "https://a", 9))
    token = uuid4()
    claimed = claim_deliveries(table.db, wanted, token=token, lease_s=60)
    found = [each.delivery.job_id for each in claimed]
    assert len(found) == 4
    assert {jobs["a"][2], jobs["b"][2], bobs} <= set(found)
    assert {each.token for each in claimed} == {token}
    assert claim_deliveries(table.db, [], token=uuid4(), lease_s=60) == []


def test_deliveries_that_wait_for_a_dead_receiver_are_not_read(
    new_migrated_postgres_url: str,
) -> None:
    """Nor is the table: the index leads from one receiver to the next, and to what is due."""
    db = Database(new_migrated_postgres_url)
    _fill(db)
    with explained() as plans:
        found = due(db)
        wanted = [Wanted("ada", "https://live", 16), Wanted("ada", "https://dead", 1)]
        claimed = claim_deliveries(db, wanted, token=uuid4(), lease_s=60)
    assert found == [DueOwner("ada", ["https://dead", "https://live"])]
    assert len(claimed) == 17
    assert plans.rows_read <= 6 * len(claimed)
    assert not plans.scans
    db.close()


def _fill(db: Database) -> None:
    """Twenty thousand deliveries to one receiver, and behind them sixteen to another."""
    rows, first, at = db.tables.deliveries, uuid4(), database_time(db)
    facts = {"owner": "ada", "event": "job.failed", "target": "https://dead/", "body": "{}"}
    due_now = {"state": "pending", "next_attempt_at": at, "created_at": at}
    with db.begin() as connection:

        def change(n: ColumnElement[int]) -> Mapping[str, ColumnElement[Any]]:
            is_live = n >= DEAD - 16
            path = cast(n, Text)
            return {
                "job_id": random_id(connection),
                "target": case((is_live, "https://live/" + path), else_="https://dead/" + path),
            }

        connection.execute(insert(rows).values(**facts, **due_now, id=first, job_id=uuid4()))
        insert_copies(connection, rows, first, DEAD, change)
        connection.exec_driver_sql("ANALYZE")

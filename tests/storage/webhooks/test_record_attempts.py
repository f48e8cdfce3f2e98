"""Results of attempts are recorded in one statement, each as if it were alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from storage.db.database import Database
from storage.migrations.migrate import migrate
from storage.records.delivery import ClaimedDelivery, DeliveryState
from storage.webhooks.log import delivery_log
from storage.webhooks.record_attempts import Recorded, Verdict, hand_back, record_attempts
from storage.webhooks.replay import replay_deliveries
from tests.storage.jobs.test_locked_rows import locked
from tests.storage.table import TableUnderTest
from tests.storage.webhooks.test_deliveries import (
    DONE,
    LATER,
    LOST,
    URL,
    claim,
    delivery_of,
    ended,
)

GONE = Verdict(DeliveryState.DISABLED, latency_ms=1, status=410, is_gone=True)


def claimed(table: TableUnderTest, count: int) -> list[ClaimedDelivery]:
    """Deliveries that were claimed together."""
    for _ in range(count):
        ended(table)
    return claim(table.db)


def test_each_result_of_a_group_is_its_own(table: TableUnderTest) -> None:
    """States, logs, and the receivers that are gone, twice in a group too."""
    deliveries = claimed(table, 5)
    verdicts = [DONE, LATER, LOST, GONE, GONE]
    pairs = list(zip(deliveries, verdicts, strict=True))
    assert record_attempts(table.db, pairs) == Recorded()
    found = [
        delivery_of(table.db, each.delivery.job_id) for each, _ in pairs if each.delivery.job_id
    ]
    states = ["delivered", "pending", "failed", "disabled", "disabled"]
    assert [each.state for each in found] == states
    assert [each.last_status for each in found] == [200, None, 500, 410, 410]
    assert [each.last_error for each in found] == [None, "TIMEOUT", None, None, None]
    assert [each.ended_at is None for each in found] == [False, True, False, False, False]
    assert {each.attempts for each in found} == {1}
    logs = [delivery_log(table.db, each.id) for each in found]
    lines = [(log.number, log.status, log.error, log.latency_ms) for (log,) in logs]
    assert lines == [(1, v.status, v.error, v.latency_ms) for v in verdicts]
    ended(table)
    assert all(each.is_gone for each in claim(table.db))


def test_what_another_process_has_claimed_since_is_lost(table: TableUnderTest) -> None:
    """The others of its group are recorded, and so is the other process's claim of the same."""
    first, second = claimed(table, 2)
    table_rows = table.db.tables.deliveries
    newer = replace(first, token=uuid4())
    with table.db.begin() as connection:
        mine = table_rows.update().where(table_rows.c.id == first.delivery.id)
        connection.execute(mine.values(claim_token=newer.token))
    recorded = record_attempts(table.db, [(first, LOST), (second, DONE), (newer, DONE)])
    assert recorded == Recorded(lost={(first.delivery.id, first.token)})
    with table.db.read() as connection:
        states = set(connection.scalars(select(table_rows.c.state)))
    assert states == {"delivered"}
    assert len(delivery_log(table.db, first.delivery.id)) == 1


def test_a_delivery_that_is_locked_keeps_no_other_from_its_record(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """It is recorded later; nothing waits for the lock."""
    if table.db.is_sqlite:
        pytest.skip("SQLite locks no single rows")
    first, second = claimed(table, 2)
    pairs = [(first, DONE), (second, DONE)]
    with locked(migrated_postgres_url, first.delivery.id, table="deliveries"):
        held = record_attempts(table.db, pairs)
    assert held == Recorded(locked={(first.delivery.id, first.token)})
    assert record_attempts(table.db, pairs[:1]) == Recorded()
    assert len(delivery_log(table.db, first.delivery.id)) == 1


def test_a_delivery_that_is_handed_back_is_as_before_its_claim(table: TableUnderTest) -> None:
    """Due at once, with its last result, and the claim is no attempt, also after a replay."""
    job_id = ended(table)
    (one,) = claim(table.db)
    record_attempts(table.db, [(one, LOST)])
    replay_deliveries(table.db, [one.delivery.id])
    (again,) = claim(table.db)
    assert record_attempts(table.db, [(again, hand_back(again.delivery))]) == Recorded()
    delivery = delivery_of(table.db, job_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", 1, 500)
    assert len(delivery_log(table.db, delivery.id)) == 1
    (third,) = claim(table.db)
    assert (third.attempt, third.delivery.target) == (1, URL)


def test_claims_and_records_of_many_threads_do_not_mix_behind_pgbouncer(
    pgbouncer_url: str,
) -> None:
    """In transaction mode, eight threads over its few connections: each delivery is sent once."""
    db = Database(pgbouncer_url, pool_size=8)
    migrate(db)
    table, both = TableUnderTest(db), threading.Barrier(8)
    jobs = {ended(table, url=f"https://{number % 4}.example.com/") for number in range(32)}

    def work(_: int) -> list[UUID | None]:
        both.wait(timeout=60)
        found = []
        while claimed := claim(db, limit=2):
            found += [each.delivery.job_id for each in claimed]
            assert record_attempts(db, [(each, DONE) for each in claimed]) == Recorded()
        return found

    with ThreadPoolExecutor(8) as threads:
        sent = [job_id for found in threads.map(work, range(8)) for job_id in found]
    assert sorted(map(str, sent)) == sorted(map(str, jobs))
    assert {delivery_of(db, job_id).state for job_id in jobs} == {DeliveryState.DELIVERED}
    with db.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
    db.close()

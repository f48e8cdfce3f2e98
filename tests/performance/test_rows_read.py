"""How many rows PostgreSQL looks at for the few rows asked for, among thousands of others."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import (
    ColumnElement,
    Connection,
    Interval,
    Text,
    case,
    cast,
    insert,
    literal_column,
    null,
)
from uuid_utils.compat import uuid7

from benchmarks.figures.explain import explained
from benchmarks.figures.many_rows import crowd
from storage.db.database import Database
from storage.db.postgresql.pipelined import Statement
from storage.dispatch.position import MAX_POSITION
from storage.dispatch.queue_outline import QueueOutline
from storage.dispatch.reserve import reserve_due, reserve_if_alone
from storage.intake import accept_postgresql
from storage.intake.accept import accept_group
from storage.intake.group_members import GroupLimits, Known, Made, member_of
from storage.intake.insert import insert_job
from storage.jobs.cancel import cancel_jobs
from storage.queries.filter import database_time
from storage.queries.shown_job import shown_job
from storage.records.delivery import DeliveryState
from storage.records.job import NewJob
from storage.webhooks.log import DeliveryFilter, list_deliveries
from tests.storage.many_rows import insert_copies, random_id

QUEUED = 4_000
DUE = 16
DELIVERED = 20_000
PENDING = 20
MS = literal_column("interval '1 millisecond'", Interval)


@pytest.fixture
def database(new_migrated_postgres_url: str) -> Iterator[Database]:
    """An empty, migrated table on PostgreSQL, whose statistics no other test shares."""
    found = Database(new_migrated_postgres_url)
    yield found
    found.close()


def test_the_next_jobs_are_found_without_reading_the_batch(
    database: Database, new_migrated_postgres_url: str
) -> None:
    """Finding what is due reads a few rows for each job found, not all that wait, to sort them."""
    crowd(database, new_migrated_postgres_url, {"prompt": "a fox"}, QUEUED)
    with explained() as plans:
        found = reserve_due(database, limit=DUE, stale_after_s=60)
    assert len(found) == DUE
    assert plans.rows_read <= 6 * DUE
    assert not plans.scans


def test_a_group_is_accepted_with_a_few_rows_read_for_each_job(
    database: Database, new_migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeats and tombstones are found by index, and other jobs that wait are not counted."""
    monkeypatch.setattr(accept_postgresql, "pipelined", _one_by_one)
    crowd(database, new_migrated_postgres_url, {"prompt": "a fox"}, QUEUED)
    known = [NewJob(uuid7(), {}, "hash", idempotency_key=f"known {n}") for n in range(DUE // 4)]
    new = [NewJob(uuid7(), {}, "hash", idempotency_key=f"new {n}") for n in range(DUE)]
    for job in known:
        insert_job(database, job)
    members = [member_of(job, has_new_id=False) for job in (*known, *new)]
    with explained() as plans:
        outcomes = accept_group(database, members, GroupLimits(window=QUEUED)).outcomes
    assert [type(outcome) for outcome in outcomes] == [Known] * len(known) + [Made] * len(new)
    assert plans.statements == 2
    assert plans.rows_read <= 12 * len(members)
    assert not plans.scans


@contextmanager
def _one_by_one(connection: Connection, *statements: Statement) -> Iterator[list[Any]]:
    """Send a group's statements so that each one's plan can be read."""
    yield [
        connection.exec_driver_sql(sql, dict(parameters)).mappings().all()
        for sql, parameters in statements
    ]


def test_a_batch_that_is_being_loaded_is_passed_over_unread(
    database: Database, new_migrated_postgres_url: str
) -> None:
    """Neither the dispatcher's look nor a job accepted meanwhile walks over what is in so far."""
    crowd(database, new_migrated_postgres_url, {"prompt": "a fox"}, QUEUED, opened=False)
    with explained() as plans:
        assert reserve_due(database, limit=DUE, stale_after_s=60) == []
    assert plans.rows_read <= DUE
    alone = insert_job(database, NewJob(uuid7(), {"prompt": "an owl"}, "hash")).job.id
    with explained() as plans:
        assert not reserve_if_alone(database, alone)
        assert reserve_due(database, limit=DUE, stale_after_s=60) == [alone]
    assert plans.rows_read <= 2 * DUE
    assert not plans.scans


def test_a_place_in_a_long_queue_is_found_without_reading_the_queue(
    database: Database, new_migrated_postgres_url: str
) -> None:
    """An outline reads as far as positions are counted, and no job is read for its request."""
    crowd(database, new_migrated_postgres_url, {"prompt": "a fox"}, 2 * MAX_POSITION)
    job = insert_job(database, NewJob(uuid7(), {"prompt": "an owl"}, "hash")).job
    with explained() as plans:
        assert QueueOutline(database).position(job) is not None
    assert plans.rows_read <= MAX_POSITION + 100
    assert not plans.scans


def test_a_job_and_its_delivery_are_read_by_their_keys(database: Database) -> None:
    """Of twenty thousand deliveries those of the job alone are looked at."""
    receiver = "https://shop.example.com/"
    job = insert_job(database, NewJob(uuid7(), {"prompt": "a"}, "hash", callback_url=receiver)).job
    deliver_most(database)
    cancel_jobs(database, [job.id])
    with explained() as plans:
        assert shown_job(database, job.id).delivery is not None
    assert plans.rows_read <= 3


def deliver_most(database: Database) -> None:
    """Two owners' deliveries, of which a few of each still have to be sent: the oldest."""
    rows, first, at = database.tables.deliveries, uuid4(), database_time(database)
    facts = {"event": "job.failed", "target": "https://shop.example.com/", "created_at": at}
    due = {"state": "pending", "next_attempt_at": at, "ended_at": None}
    with database.begin() as connection:

        def change(n: ColumnElement[int]) -> Mapping[str, ColumnElement[Any]]:
            is_due = n + 1 < 2 * PENDING
            return {
                "job_id": random_id(connection),
                "owner": "o" + cast((n + 1) % 2, Text),
                "created_at": rows.c.created_at + (n + 1) * MS,
                "state": case((is_due, "pending"), else_="delivered"),
                "next_attempt_at": case((is_due, rows.c.next_attempt_at), else_=null()),
                "ended_at": case((is_due, null()), else_=rows.c.created_at),
            }

        connection.execute(
            insert(rows).values(**facts, **due, id=first, job_id=uuid4(), owner="o0")
        )
        insert_copies(connection, rows, first, DELIVERED - 1, change)
        connection.exec_driver_sql("ANALYZE")


def test_what_has_still_to_be_sent_is_found_without_reading_what_arrived(
    database: Database,
) -> None:
    """The pending ones are looked at, an owner's or all, with an event as well, and no others."""
    deliver_most(database)
    for owner, known in ((None, 2 * PENDING), ("o1", PENDING)):
        for event in (None, "job.failed"):
            meant = DeliveryFilter(owner, frozenset({DeliveryState.PENDING}), event=event)
            with explained() as plans:
                found = list_deliveries(database, meant, limit=PENDING)
            assert len(found) == PENDING
            assert plans.rows_read <= known

"""An identical request is answered with the image that is there, for as long as it is there."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event
from uuid_utils.compat import uuid7

from storage.batches.batches import create_batch, get_batch, open_batch
from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.batches.loading import delete_loading
from storage.db.database import Database
from storage.errors import JobForgotten
from storage.intake.insert import insert_job, insert_jobs
from storage.intake.reuse import owner_reuses, owners_reusing, set_owner_reuse
from storage.queries.pages import list_jobs
from storage.records.states import JobStatus
from storage.retention.delete import Forgotten, forget_jobs
from tests.storage.retention.test_delete import PREFIX, doomed
from tests.storage.table import TableUnderTest, new_job

FOX = "f0" * 32


def forget(table: TableUnderTest, *ids: UUID) -> None:
    """Forget jobs."""
    assert len(forget_jobs(table.db, ids, key_prefix=PREFIX).forgotten) == len(ids)


def made(table: TableUnderTest, **changes: object) -> UUID:
    """A job that was called for, and may answer others."""
    return table.finished(table.accept(reuse_hash=FOX, **changes)).id


def again(table: TableUnderTest, **changes: object) -> UUID:
    """The same request, which wants to be answered without a call."""
    return table.accept(**{"reuse_hash": FOX, "reuse": True, **changes})


@contextmanager
def rows_met(db: Database) -> Iterator[list[int]]:
    """Counts rows that transactions read or hold; on SQLite the steps of its machine instead."""
    met: list[int] = []
    seen = (
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))"
        " FROM pg_stat_xact_user_tables WHERE relname IN ('jobs', 'reuses')"
    )

    def begin(connection: Connection) -> None:
        if db.dialect == "postgresql":  # the tables are too small for it to think of an index
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            met.append(-int(connection.exec_driver_sql(seen).scalar_one()))
        else:
            raw: Any = connection.connection.dbapi_connection
            raw.set_progress_handler(lambda: met.append(1), 1)

    def commit(connection: Connection) -> None:
        if db.dialect == "postgresql":
            met.append(int(connection.exec_driver_sql(seen).scalar_one()))
        else:
            raw: Any = connection.connection.dbapi_connection
            raw.set_progress_handler(None, 1)

    event.listen(db._engine, "begin", begin)
    event.listen(db._engine, "commit", commit)
    yield met
    event.remove(db._engine, "begin", begin)
    event.remove(db._engine, "commit", commit)


def waits(db: Database) -> bool:
    """Return whether a session waits for an advisory lock; on SQLite every writer waits: True."""
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database"
        " WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    if db.dialect == "sqlite":
        return True
    with db.read() as connection:
        return bool(connection.exec_driver_sql(waiting).scalar_one())


def forget_source(table: TableUnderTest, ids: list[UUID]) -> None:
    """The job whose call made the picture."""
    forget(table, ids[0])


def forget_sharer(table: TableUnderTest, ids: list[UUID]) -> None:
    """One that was answered with it."""
    forget(table, ids[1])


def test_an_identical_request_ends_as_it_begins(table: TableUnderTest) -> None:
    """With the same objects, no call, and the id of the job that answered it."""
    source = table.job(made(table))
    accepted = insert_job(table.db, new_job(reuse_hash=FOX, reuse=True))
    job = table.job(accepted.job.id)
    assert accepted.created
    assert accepted.job == job
    assert (job.status, job.images, job.reused_from) == ("succeeded", source.images, source.id)
    assert (job.calls_made, job.attempts, job.first_call_at) == (0, 0, None)
    assert job.ended_at is not None
    assert [each.reused_from for each in list_jobs(table.db)] == [source.id, None]


@pytest.mark.parametrize(
    "changes",
    [
        {"reuse": False},
        {"reuse_hash": "0b" * 32},
        {"reuse_hash": None},
        {"owner": "museum"},
        {"simulated": True},
    ],
    ids=["not wanted", "another request", "no seed given", "another owner", "another API"],
)
def test_any_other_request_is_called_for(table: TableUnderTest, changes: dict[str, object]) -> None:
    """Only the same of the same owner, and only who wants it."""
    made(table)
    job = table.job(again(table, **changes))
    assert (job.status, job.reused_from) == (JobStatus.QUEUED, None)


def test_only_a_success_answers(table: TableUnderTest) -> None:
    """Not what waits, runs or was cancelled with its picture kept."""
    waiting = table.accept(reuse_hash=FOX)
    table.claimed(table.accept(reuse_hash=FOX))
    assert table.status(again(table)) is JobStatus.QUEUED
    table.finished(waiting)
    assert table.job(again(table)).reused_from == waiting


def test_an_owner_may_have_it_for_all_jobs_that_do_not_say(table: TableUnderTest) -> None:
    """A job that says no is called for."""
    source = made(table, owner="shop")
    assert table.status(again(table, owner="shop", reuse=None)) is JobStatus.QUEUED
    set_owner_reuse(table.db, "shop", reuse=True)
    assert (owner_reuses(table.db, "shop"), owner_reuses(table.db, "museum")) == (True, False)
    assert table.job(again(table, owner="shop", reuse=None)).reused_from == source
    assert table.status(again(table, owner="shop", reuse=False)) is JobStatus.QUEUED
    set_owner_reuse(table.db, "shop", reuse=False)
    assert owners_reusing(table.db) == {"shop": False}


def test_a_repeat_under_a_key_is_the_same_job(table: TableUnderTest) -> None:
    """However it was made."""
    made(table)
    first = insert_job(table.db, new_job(reuse_hash=FOX, reuse=True, idempotency_key="k"))
    second = insert_job(table.db, new_job(reuse_hash=FOX, reuse=True, idempotency_key="k"))
    assert (second.created, second.job) == (False, first.job)


def test_the_object_goes_with_the_last_job_that_has_it(table: TableUnderTest) -> None:
    """Whichever that is; and while one has it, it answers others."""
    source = made(table)
    key = table.job(source).images[0].key
    second, third = again(table), again(table)
    forget(table, source)
    assert doomed(table.db) == set()
    fourth = again(table)
    assert table.job(fourth).reused_from == second
    forget(table, second, fourth)
    assert doomed(table.db) == set()
    forget(table, third)
    assert doomed(table.db) == {key}
    assert table.status(again(table)) is JobStatus.QUEUED


def test_lines_of_a_batch_are_answered_in_bulk(table: TableUnderTest) -> None:
    """Counted as any end is, also when the batch is submitted twice; and the others are called."""
    source = made(table)
    batch, _ = create_batch(table.db, id=uuid7())
    hashes = [FOX, "0b" * 32, FOX]
    lines = [new_job(batch_id=batch.id, reuse_hash=each, reuse=True) for each in hashes]
    assert insert_jobs(table.db, lines) == 3
    assert insert_jobs(table.db, lines) == 0
    assert open_batch(table.db, batch.id, 3)
    fold_batch_deltas(table.db)
    assert batch_progress(table.db, batch.id).succeeded == 2
    statuses = {job.id: (job.status, job.reused_from) for job in list_jobs(table.db)}
    assert statuses[lines[0].id] == statuses[lines[2].id] == ("succeeded", source)
    assert statuses[lines[1].id] == ("queued", None)
    table.finished(lines[1].id)
    fold_batch_deltas(table.db)
    assert get_batch(table.db, batch.id).closed_at is not None
    assert table.job(again(table, reuse_hash="0b" * 32)).reused_from == lines[1].id


def test_a_batch_that_was_abandoned_leaves_no_counts_and_no_object(table: TableUnderTest) -> None:
    """The next load under its id begins at nothing; an image only it had is doomed."""
    source = made(table)
    key = table.job(source).images[0].key
    batch, _ = create_batch(table.db, id=uuid7())
    line = new_job(batch_id=batch.id, reuse_hash=FOX, reuse=True)
    insert_jobs(table.db, [line])
    forget(table, source)
    assert doomed(table.db) == set()
    assert delete_loading(table.db, batch.id)
    assert doomed(table.db) == {key}
    create_batch(table.db, id=batch.id)
    assert open_batch(table.db, batch.id, 1)
    assert batch_progress(table.db, batch.id).succeeded == 0


@pytest.mark.parametrize("gone", [forget_source, forget_sharer])
def test_who_forgets_meets_no_more_rows_than_it_forgets(
    table: TableUnderTest, gone: Callable[[TableUnderTest, list[UUID]], None]
) -> None:
    """However many have the same picture: neither read nor held nor brought here."""
    costs = []
    for count, fox in ((10, "10" * 32), (500, "50" * 32)):
        source = table.finished(table.accept(reuse_hash=fox)).id
        lines = [new_job(reuse_hash=fox, reuse=True) for _ in range(count)]
        insert_jobs(table.db, lines)
        with table.db.begin() as connection:  # whatever the planner knew of other tests' tables
            connection.exec_driver_sql("ANALYZE")
        with rows_met(table.db) as met:
            gone(table, [source, *(line.id for line in lines)])
        assert doomed(table.db) == set()
        costs.append(sum(met))
    few, many = costs
    assert few > 0
    assert many < 1.5 * few


def test_of_two_who_forget_the_last_two_jobs_of_a_picture_one_takes_it(
    table: TableUnderTest,
) -> None:
    """The second comes before the first commits, waits for it and finds no other reference."""
    source = made(table)
    key, last = table.job(source).images[0].key, again(table)
    other = Database(table.db._engine.url.render_as_string(hide_password=False))
    with ThreadPoolExecutor(1) as threads:
        seconds: list[Future[Forgotten]] = []

        def meanwhile(_: Connection) -> None:
            seconds.append(threads.submit(forget_jobs, other, [last], key_prefix=PREFIX))
            until = time.monotonic() + 30
            while not (seconds[0].done() or waits(other)) and time.monotonic() < until:
                time.sleep(0.01)

        event.listen(table.db._engine, "commit", meanwhile, once=True)
        forget(table, source)
        assert seconds[0].result(60).forgotten == [last]
    other.close()
    assert doomed(table.db) == {key}


def test_forgetting_a_picture_that_many_have_at_once_takes_it_with_the_last(
    table: TableUnderTest,
) -> None:
    """In parts and any order: each goes, no thread waits indefinitely, and the object once."""
    source = made(table)
    key = table.job(source).images[0].key
    ids = [source, *(again(table) for _ in range(29))]
    parts = [ids[n::5] for n in range(5)]
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda some: forget(table, *reversed(some)), parts))
    assert list_jobs(table.db) == []
    assert doomed(table.db) == {key}


def test_reusing_and_forgetting_at_once_never_leaves_a_job_without_its_object(
    table: TableUnderTest,
) -> None:
    """Every job that lives has an object that is not doomed; with the last one it is."""
    for round_number in range(4):
        fox = f"{round_number:02}" * 32
        source = table.finished(table.accept(reuse_hash=fox))
        key = source.images[0].key

        def reuse(_: int, fox: str = fox) -> UUID:
            return again(table, reuse_hash=fox)

        def drop(job_id: UUID) -> UUID:
            forget_jobs(table.db, [job_id], key_prefix=PREFIX)
            return job_id

        with ThreadPoolExecutor(6) as threads:
            first = [threads.submit(reuse, n) for n in range(6)]
            gone = threads.submit(drop, source.id)
            rest = [threads.submit(reuse, n) for n in range(6)]
            ids = [each.result() for each in (*first, *rest)]
            gone.result()
            alive = [i for i in ids if table.job(i).reused_from is not None]
            assert (key in doomed(table.db)) == (not alive)
            list(threads.map(drop, alive))
        assert key in doomed(table.db)
        with pytest.raises(JobForgotten):
            table.job(source.id)

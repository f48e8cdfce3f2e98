"""Batches: invisible until opened, counted without counting rows."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

import storage.batches.loading
from storage.batches.batches import (
    batch_callback,
    create_batch,
    get_batch,
    list_batches,
    open_batch,
)
from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.batches.loading import Loading, delete_loading, loading_batches, lock_loading
from storage.db.keyset import Cursor
from storage.dispatch.reserve import reserve_due
from storage.errors import BatchNotFound, BatchShut, DatabaseUnavailable, IdempotencyConflict
from storage.intake.insert import insert_jobs
from storage.jobs.cancel import cancel_jobs, expire_due, retry_ended
from storage.queries.pages import list_jobs
from tests.storage.table import TableUnderTest, new_job


def test_a_batch_is_invisible_until_it_opens(table: TableUnderTest) -> None:
    """Neither due, nor listed, nor to be claimed; then all at once."""
    batch_id, ids = table.batch(3, opened=False)
    assert reserve_due(table.db, limit=10, stale_after_s=60) == []
    assert list_jobs(table.db) == []
    assert table.claim(ids[0]) is None
    assert len(list_jobs(table.db, batch_id=batch_id)) == 3
    assert open_batch(table.db, batch_id, 3)
    assert open_batch(table.db, batch_id, 3)
    assert sorted(reserve_due(table.db, limit=10, stale_after_s=60)) == sorted(ids)
    assert len(list_jobs(table.db)) == 3


def test_the_same_key_is_the_same_batch(table: TableUnderTest) -> None:
    """Submitted again under its key, opened or not, it is found; another owner's is separate."""
    first, new = create_batch(table.db, id=uuid4(), key="k", request_hash="h")
    again, second = create_batch(table.db, id=uuid4(), key="k", request_hash="h")
    assert (new, second, again.id) == (True, False, first.id)
    assert create_batch(table.db, id=uuid4(), owner="bob", key="k")[1]
    assert create_batch(table.db, id=uuid4())[1]
    with pytest.raises(IdempotencyConflict):
        create_batch(table.db, id=uuid4(), key="k", request_hash="other")


def test_an_abandoned_load_leaves_nothing(table: TableUnderTest) -> None:
    """Deleted with its jobs, and too late to be opened; an open one is not touched."""
    lost, ids = table.batch(5, opened=False)
    kept, _ = table.batch(2)
    assert [b.id for b in loading_batches(table.db, older_than_s=-1)] == [lost]
    assert loading_batches(table.db, older_than_s=60) == []
    assert delete_loading(table.db, lost)
    assert delete_loading(table.db, lost)
    assert not delete_loading(table.db, kept)
    assert not open_batch(table.db, lost, 5)
    assert [table.claim(i) for i in ids] == [None] * 5
    assert len(list_jobs(table.db, batch_id=kept)) == 2
    with pytest.raises(BatchNotFound):
        get_batch(table.db, lost)


@pytest.mark.parametrize("stalled", ["before it deletes", "after its last look"])
def test_a_deletion_that_stalls_leaves_the_next_load_under_the_id_alone(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, stalled: str
) -> None:
    """Another process ends it, the batch is submitted again and accepted; it wakes too late."""
    lost, _ = table.batch(3, opened=False)
    anew = [new_job(batch_id=lost) for _ in range(3)]
    real = storage.batches.loading._delete_jobs

    def delete_jobs(*given: Any) -> int:
        found = 0 if stalled == "before it deletes" else real(*given)
        if not found:
            monkeypatch.undo()
            assert delete_loading(table.db, lost)
            assert create_batch(table.db, id=lost)[1]
            insert_jobs(table.db, anew)
            assert open_batch(table.db, lost, 3)
            found = real(*given)
        return found

    monkeypatch.setattr(storage.batches.loading, "_delete_jobs", delete_jobs)
    assert delete_loading(table.db, lost)
    assert get_batch(table.db, lost).total == 3
    assert sorted(reserve_due(table.db, limit=9, stale_after_s=60)) == sorted(j.id for j in anew)


def test_progress_is_exact_at_every_moment(table: TableUnderTest) -> None:
    """Folded or not, held or not, the counts add up to the total."""
    batch_id, ids = table.batch(6)
    table.finished(ids[0])
    table.in_hand(ids[1])
    table.claimed(ids[2])
    cancel_jobs(table.db, [ids[3]])
    before = batch_progress(table.db, batch_id)
    assert fold_batch_deltas(table.db) == []
    assert batch_progress(table.db, batch_id) == before
    assert (before.succeeded, before.cancelled, before.storing, before.running) == (1, 1, 1, 1)
    assert (before.queued, before.total, before.ended) == (2, 6, 2)


def test_a_batch_closes_when_its_last_job_ends_and_opens_with_a_retry(
    table: TableUnderTest,
) -> None:
    """The fold that sees the last end closes it; a job retried by hand makes it open again."""
    batch_id, ids = table.batch(2)
    table.finished(ids[0])
    assert fold_batch_deltas(table.db) == []
    cancel_jobs(table.db, [ids[1]])
    assert fold_batch_deltas(table.db) == [batch_id]
    assert fold_batch_deltas(table.db) == []
    assert get_batch(table.db, batch_id).closed_at is not None
    assert retry_ended(table.db, ids) == [ids[1]]
    assert fold_batch_deltas(table.db) == []
    assert get_batch(table.db, batch_id).closed_at is None
    assert batch_progress(table.db, batch_id).queued == 1


def test_an_empty_batch_is_closed_at_once(table: TableUnderTest) -> None:
    """There is no last job to close it."""
    batch_id, _ = table.batch(0)
    assert get_batch(table.db, batch_id).closed_at is not None


def test_a_sweep_tells_every_batch(table: TableUnderTest) -> None:
    """One statement that ends jobs of several batches counts each in its own."""
    batches = [table.batch(2, expires_in_s=-1.0)[0] for _ in range(2)]
    assert expire_due(table.db) == 4
    assert set(fold_batch_deltas(table.db)) == set(batches)
    assert [get_batch(table.db, b).cancelled for b in batches] == [2, 2]


def test_batches_are_listed_newest_first(table: TableUnderTest) -> None:
    """For one owner or for all."""
    ids = [create_batch(table.db, id=uuid4(), owner=o)[0].id for o in ("a", "b", "a")]
    assert {b.id for b in list_batches(table.db)} == set(ids)
    assert {b.id for b in list_batches(table.db, owner="a")} == {ids[0], ids[2]}
    assert len(list_batches(table.db, limit=1)) == 1


def test_a_load_resent_adds_only_what_is_missing(table: TableUnderTest) -> None:
    """Lines with ids derived by the caller are inserted once, whatever was lost in between."""
    batch, _ = create_batch(table.db, id=uuid4(), key="k")
    lines = [new_job(batch_id=batch.id) for _ in range(20)]
    insert_jobs(table.db, lines[:12])
    assert insert_jobs(table.db, lines) == 8
    assert open_batch(table.db, batch.id, 20)
    assert insert_jobs(table.db, lines) == 0
    assert batch_progress(table.db, batch.id).queued == 20


def test_whom_a_batch_is_to_tell_is_kept_with_it(table: TableUnderTest) -> None:
    """Once, however often it is submitted."""
    where = "https://example.com/done"
    batch, _ = create_batch(table.db, id=uuid4(), key="k", callback=where)
    create_batch(table.db, id=uuid4(), key="k", callback="https://example.com/other")
    assert batch_callback(table.db, batch.id) == where
    assert batch_callback(table.db, create_batch(table.db, id=uuid4())[0].id) is None


def test_a_batch_that_vanished_while_it_was_begun_may_be_begun_again(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted between the two statements: the caller gets a retryable error."""
    batch, _ = create_batch(table.db, id=uuid4())
    monkeypatch.setattr("storage.batches.batches.find_batch", lambda *_: None)
    with pytest.raises(DatabaseUnavailable, match="vanished"):
        create_batch(table.db, id=batch.id)


def test_a_batch_is_opened_only_as_the_one_that_was_begun(table: TableUnderTest) -> None:
    """Another may have been begun under its id since; opened once, its total stays."""
    batch, _ = create_batch(table.db, id=uuid4())
    earlier = batch.created_at - timedelta(days=1)
    assert not open_batch(table.db, batch.id, 3, begun_at=earlier)
    assert get_batch(table.db, batch.id).opened_at is None
    assert open_batch(table.db, batch.id, 3, begun_at=batch.created_at)
    assert open_batch(table.db, batch.id, 9, begun_at=batch.created_at)
    assert not open_batch(table.db, batch.id, 9, begun_at=earlier)
    assert get_batch(table.db, batch.id).total == 3
    assert not open_batch(table.db, uuid4(), 1)


def test_pages_of_batches_meet_each_once(table: TableUnderTest) -> None:
    """Also those that were begun at the same moment."""
    ids = {create_batch(table.db, id=uuid4())[0].id for _ in range(5)}
    seen: list[UUID] = []
    before: Cursor | None = None
    while page := list_batches(table.db, before=before, limit=2):
        seen += [batch.id for batch in page]
        before = Cursor(page[-1].created_at, page[-1].id)
    assert (len(seen), set(seen)) == (5, ids)


def test_a_load_that_was_given_up_leaves_nothing_to_the_next_one_under_its_id(
    table: TableUnderTest,
) -> None:
    """Neither its callback, nor counts of jobs that were cancelled before it opened."""
    lost, _ = create_batch(table.db, id=uuid4(), callback="https://example.com/done")
    lines = [new_job(batch_id=lost.id) for _ in range(2)]
    insert_jobs(table.db, lines)
    assert cancel_jobs(table.db, [lines[0].id]).cancelled == 1
    assert delete_loading(table.db, lost.id)
    assert create_batch(table.db, id=lost.id)[1]
    assert batch_callback(table.db, lost.id) is None
    insert_jobs(table.db, [new_job(batch_id=lost.id)])
    assert open_batch(table.db, lost.id, 1)
    progress = batch_progress(table.db, lost.id)
    assert (progress.total, progress.cancelled, progress.queued) == (1, 0, 1)
    fold_batch_deltas(table.db)
    assert get_batch(table.db, lost.id).cancelled == 0


def test_a_load_that_is_being_given_up_is_neither_opened_nor_filled(table: TableUnderTest) -> None:
    """Its deletion may have stopped half way; no process removes the mark again."""
    lost, _ = table.batch(1, opened=False)
    batches = table.db.tables.batches
    with table.db.begin() as connection:
        marked = batches.update().where(batches.c.id == lost)
        connection.execute(marked.values(abandoned_at=batches.c.created_at))
    assert not open_batch(table.db, lost, 1)
    assert get_batch(table.db, lost).opened_at is None
    assert delete_loading(table.db, lost)


def test_an_open_batch_is_not_deleted_as_a_load_that_was_given_up(table: TableUnderTest) -> None:
    """A process that takes it for one has missed its opening."""
    kept, ids = table.batch(2)
    assert not delete_loading(table.db, kept)
    assert get_batch(table.db, kept).abandoned_at is None
    assert table.claim(ids[0]) is not None


def test_rows_go_only_into_the_load_that_was_begun(table: TableUnderTest) -> None:
    """Not once it is open or given up, nor into one that was begun anew under its id."""
    batch, _ = create_batch(table.db, id=uuid4())

    def takes_rows(begun_at: datetime = batch.created_at) -> bool:
        loading = Loading(batch.id, begun_at)
        try:
            with table.db.begin() as connection:
                lock_loading(table.db.tables, connection, loading)
        except BatchShut:
            return False
        return True

    batches = table.db.tables.batches
    assert takes_rows()
    assert not takes_rows(batch.created_at - timedelta(days=1))
    with table.db.begin() as connection:
        connection.execute(batches.update().values(abandoned_at=batches.c.created_at))
    assert not takes_rows()
    with table.db.begin() as connection:
        connection.execute(batches.update().values(abandoned_at=None))
    assert open_batch(table.db, batch.id, 0)
    assert not takes_rows()

"""Owners' limits are set one by one, and what waits is counted no further than asked."""

import pytest

from storage.batches.batches import create_batch
from storage.batches.counts import fold_batch_deltas
from storage.batches.loading import delete_loading
from storage.db.database import Database
from storage.dispatch.backlog import count_queued
from storage.dispatch.reserve import reserve_due
from storage.errors import RecordRefused
from storage.intake.insert import insert_jobs
from storage.owners.limits import get_owner, list_owners, set_owner_limits
from tests.storage.table import TableUnderTest, new_job


def test_who_was_never_limited_has_no_row(db: Database) -> None:
    """Owners exist by being named in a job."""
    assert get_owner(db, "shop") is None
    assert list_owners(db) == []


def test_limits_are_set_and_lifted_one_by_one(db: Database) -> None:
    """What is not named stays; None is no limit."""
    first = set_owner_limits(db, "shop", max_per_second=2.5)
    assert (first.max_per_second, first.max_queued) == (2.5, None)
    both = set_owner_limits(db, "shop", max_queued=1000)
    assert (both.max_per_second, both.max_queued) == (2.5, 1000)
    assert set_owner_limits(db, "shop", max_per_second=None).max_per_second is None
    found = get_owner(db, "shop")
    assert found is not None
    assert (found.max_queued, found.created_at) == (1000, first.created_at)


def test_an_owner_may_be_named_without_a_change(db: Database) -> None:
    """Then there is a row, and nothing in it has changed."""
    set_owner_limits(db, "shop", max_queued=0)
    assert set_owner_limits(db, "shop").max_queued == 0
    assert [owner.name for owner in list_owners(db)] == ["shop"]


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_rate_that_lets_nothing_through_is_refused(db: Database, rate: float) -> None:
    """With such a rate, no time to retry could be reported to the caller."""
    with pytest.raises(RecordRefused):
        set_owner_limits(db, "shop", max_per_second=rate)


def test_a_negative_number_of_jobs_is_refused(db: Database) -> None:
    """0 is a limit: this owner may submit nothing, or has nothing called."""
    with pytest.raises(RecordRefused):
        set_owner_limits(db, "shop", max_queued=-1)
    with pytest.raises(RecordRefused):
        set_owner_limits(db, "shop", max_in_flight=-1)


def test_what_waits_is_counted_over_priorities_and_batches(table: TableUnderTest) -> None:
    """Jobs that came alone, urgent or not, and those of batches, open or being loaded."""
    for priority in (0, 5, -3):
        table.accept(owner="shop", priority=priority)
    for size, opened in ((4, True), (2, False)):
        batch, _ = create_batch(table.db, id=new_job().id, owner="shop")
        insert_jobs(table.db, [new_job(owner="shop", batch_id=batch.id) for _ in range(size)])
        if not opened:
            loading = batch.id
    assert count_queued(table.db, "shop", 100) == 9
    assert delete_loading(table.db, loading)
    assert count_queued(table.db, "shop", 100) == 7


def test_nobody_else_counts(table: TableUnderTest) -> None:
    """However much another owner has waiting."""
    table.batch(50, owner="museum")
    table.accept(owner="museum")
    assert count_queued(table.db, "shop", 100) == 0


def test_what_is_held_or_has_ended_no_longer_waits(table: TableUnderTest) -> None:
    """The owner may submit the next; one that was only sent out has not started."""
    ids = [table.accept(owner="shop") for _ in range(4)]
    table.claimed(ids[0])
    table.finished(ids[1])
    assert count_queued(table.db, "shop", 100) == 2
    reserve_due(table.db, limit=1, stale_after_s=60)
    fold_batch_deltas(table.db)
    assert count_queued(table.db, "shop", 100) == 2
    assert [count_queued(table.db, "shop", limit) for limit in (0, 1, 2)] == [0, 1, 2]
    assert count_queued(table.db, "museum", 100) == 0


def test_the_count_stops_where_it_is_told_to(table: TableUnderTest) -> None:
    """So a backlog of millions costs no more than the limit."""
    for priority in (0, 0, 0, 7, 7):
        table.accept(owner="shop", priority=priority)
    assert [count_queued(table.db, "shop", limit) for limit in (0, 1, 3, 5, 9)] == [0, 1, 3, 5, 5]

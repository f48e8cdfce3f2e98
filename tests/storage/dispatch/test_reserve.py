"""What goes out next: by priority, streams in turn, nothing twice, nothing forgotten."""

from uuid import UUID

from storage.dispatch.fairness import Rotation, highest_ready
from storage.dispatch.probe import due_job_with_fewest_calls
from storage.dispatch.reserve import (
    count_dispatched,
    forget_lost,
    refresh_dispatched,
    reserve_due,
    reserve_if_alone,
    unreserve,
)
from storage.jobs.release import retry_later_if_held
from storage.owners.limits import set_owner_limits
from storage.records.call_outcome import CallOutcome
from tests.storage.table import FAULT, TableUnderTest


def _reserve(table: TableUnderTest, limit: int, rotation: Rotation | None = None) -> list[UUID]:
    return reserve_due(table.db, limit=limit, stale_after_s=60, rotation=rotation)


def test_a_job_goes_out_once(table: TableUnderTest) -> None:
    """What is reserved is not reserved again before it is stale or given back."""
    # By time and then by id: SQLite's moments are milliseconds, which two jobs may well share.
    ids = sorted(
        (table.accept() for _ in range(3)),
        key=lambda job_id: (table.job(job_id).accepted_at, job_id),
    )
    first = _reserve(table, 2)
    assert first == ids[:2]
    assert _reserve(table, 5) == [ids[2]]
    assert _reserve(table, 5) == []
    assert unreserve(table.db, [ids[1]]) == 1
    assert _reserve(table, 5) == [ids[1]]
    assert count_dispatched(table.db, 10) == 3
    assert count_dispatched(table.db, 2) == 2


def test_a_job_that_nothing_waits_beside_is_reserved_by_one_question(
    table: TableUnderTest,
) -> None:
    """If another job waits, or its owner has limits, the round robin has to select the next job."""
    alone = table.accept()
    assert reserve_if_alone(table.db, alone)
    assert not reserve_if_alone(table.db, alone)
    only = table.accept()
    assert not reserve_if_alone(table.db, alone), "another is alone now"
    assert reserve_if_alone(table.db, only)
    first, second = table.accept(), table.accept(priority=9)
    assert not reserve_if_alone(table.db, first)
    assert not reserve_if_alone(table.db, second)
    assert _reserve(table, 5) == [second, first]
    set_owner_limits(table.db, "ada", max_in_flight=1)
    assert not reserve_if_alone(table.db, table.accept(owner="ada"))


def test_the_highest_priority_is_that_of_jobs_that_are_ready(table: TableUnderTest) -> None:
    """Neither an ended job nor one that is under way counts, or each round would begin in vain."""
    with table.db.read() as connection:
        assert connection.scalar(highest_ready(table.db.tables)) is None
    table.finished(table.accept(priority=9))
    table.accept(priority=8)
    assert len(_reserve(table, 1)) == 1
    with table.db.read() as connection:
        assert connection.scalar(highest_ready(table.db.tables)) is None
    table.accept(priority=3)
    with table.db.read() as connection:
        assert connection.scalar(highest_ready(table.db.tables)) == 3


def test_a_line_of_a_batch_that_is_not_open_is_never_reserved_alone(table: TableUnderTest) -> None:
    """No worker may see it yet."""
    _, (line,) = table.batch(1, opened=False)
    assert not reserve_if_alone(table.db, line)


def test_a_lost_message_is_sent_again(table: TableUnderTest) -> None:
    """A dispatch that no worker claimed is stale after a while, unless an inbox holds it."""
    job_id = table.accept()
    assert _reserve(table, 1) == [job_id]
    assert reserve_due(table.db, limit=1, stale_after_s=-1) == [job_id]
    assert refresh_dispatched(table.db, [job_id]) == 1
    assert _reserve(table, 1) == []


def test_lost_messages_leave_the_window_even_when_they_fill_it(table: TableUnderTest) -> None:
    """A caller that asks only for as many jobs as there is room for would never find them."""
    ids = {table.accept() for _ in range(3)}
    assert set(_reserve(table, 3)) == ids
    assert forget_lost(table.db, limit=10, stale_after_s=60) == 0
    assert forget_lost(table.db, limit=10, stale_after_s=-1) == 3
    assert count_dispatched(table.db, 10) == 0
    assert set(_reserve(table, 3)) == ids


def test_a_claimed_job_is_out_of_the_window(table: TableUnderTest) -> None:
    """Broker and inboxes no longer hold it, and refreshing it does nothing."""
    job_id = table.accept()
    _reserve(table, 1)
    table.claimed(job_id)
    assert count_dispatched(table.db, 10) == 0
    assert refresh_dispatched(table.db, [job_id]) == 0
    assert unreserve(table.db, [job_id]) == 0


def test_a_job_that_is_to_wait_goes_out_when_its_time_has_come(table: TableUnderTest) -> None:
    """Not before, and not never."""
    soon, later = table.accept(), table.accept()
    for job_id, delay_s in ((soon, -1.0), (later, 60.0)):
        table.claimed(job_id)
        assert retry_later_if_held(
            table.db, job_id, fence=1, delay_s=delay_s, outcome=CallOutcome(FAULT)
        )
    assert _reserve(table, 5) == [soon]


def test_a_higher_priority_goes_first(table: TableUnderTest) -> None:
    """All of a higher priority before any of a lower, whatever their owners."""
    low, high, middle = (table.accept(priority=p) for p in (-1, 9, 3))
    assert _reserve(table, 5) == [high, middle, low]


def test_a_single_job_behind_a_big_batch_gets_the_next_slot(table: TableUnderTest) -> None:
    """Streams take turns, from call to call, however small the window."""
    _, ids = table.batch(200)
    rotation = Rotation()
    assert set(_reserve(table, 20, rotation)) <= set(ids)
    single = table.accept(owner="bob")
    assert single in _reserve(table, 2, rotation)


def test_streams_are_served_alike_one_slot_at_a_time(table: TableUnderTest) -> None:
    """With one free slot a call, three owners get a third each."""
    owners = {name: {table.accept(owner=name) for _ in range(30)} for name in ("a", "b", "c")}
    rotation = Rotation()
    got = [job for _ in range(30) for job in _reserve(table, 1, rotation)]
    assert [len(ids & set(got)) for ids in owners.values()] == [10, 10, 10]


def test_an_unopened_batch_keeps_nobody_waiting(table: TableUnderTest) -> None:
    """Not even one of a higher priority."""
    table.batch(50, opened=False, priority=9)
    job_id = table.accept()
    assert _reserve(table, 5) == [job_id]


def test_nothing_is_asked_for_nothing(table: TableUnderTest) -> None:
    """Empty lists and a full window are no errors."""
    table.accept()
    assert _reserve(table, 0) == []
    assert unreserve(table.db, []) == 0


def test_a_probe_goes_to_a_due_job_with_the_fewest_calls(table: TableUnderTest) -> None:
    """Sent out or not, alone or in a batch; nothing that is not due."""
    assert due_job_with_fewest_calls(table.db) is None
    tried, sent, fresh = table.accept(priority=9), table.accept(), table.accept()
    table.overwrite(tried, calls_made=2, calls_unknown=2)
    table.overwrite(sent, calls_made=1, calls_unknown=1)
    assert set(_reserve(table, 2)) == {tried, sent}
    assert due_job_with_fewest_calls(table.db) == fresh
    table.claimed(fresh)
    assert due_job_with_fewest_calls(table.db) == sent
    unreserve(table.db, [sent])
    assert due_job_with_fewest_calls(table.db) == sent
    table.overwrite(sent, calls_made=3, calls_before=3)  # retried by hand: it counts anew
    assert due_job_with_fewest_calls(table.db) == sent


def test_a_probe_takes_no_job_that_may_not_start(table: TableUnderTest) -> None:
    """Its time has not come, its batch is being loaded, or its owner has limits to be kept."""
    later = table.accept()
    job = table.claimed(later)
    assert retry_later_if_held(
        table.db, later, fence=job.fence, delay_s=60, outcome=CallOutcome(FAULT)
    )
    table.batch(1, opened=False)
    set_owner_limits(table.db, "ada", max_in_flight=1)
    table.accept(owner="ada")
    assert due_job_with_fewest_calls(table.db) is None
    [sent] = _reserve(table, 9)  # the dispatcher has kept the limit
    assert due_job_with_fewest_calls(table.db) == sent


def test_a_job_that_waits_for_its_time_is_neither_refreshed_nor_given_back(
    table: TableUnderTest,
) -> None:
    """An inbox may still name it: its wait holds all the same."""
    job_id = table.accept()
    table.claimed(job_id)
    assert retry_later_if_held(table.db, job_id, fence=1, delay_s=60, outcome=CallOutcome(FAULT))
    assert refresh_dispatched(table.db, [job_id]) == 0
    assert unreserve(table.db, [job_id]) == 0
    job = table.job(job_id)
    assert (job.dispatched_at, job.not_before is not None) == (None, True)


def test_no_more_lost_messages_are_put_back_at_once_than_asked_for(table: TableUnderTest) -> None:
    """The oldest first; a round holds locks for a moment only."""
    for _ in range(3):
        table.accept()
    assert len(_reserve(table, 3)) == 3
    assert forget_lost(table.db, limit=2, stale_after_s=-1) == 2
    assert forget_lost(table.db, limit=2, stale_after_s=-1) == 1


def test_of_jobs_whose_time_has_come_the_longest_due_goes_first(table: TableUnderTest) -> None:
    """A round makes no more of them ready than it may send out."""
    late, later = table.accept(), table.accept()
    for job_id, delay_s in ((late, -1.0), (later, -60.0)):
        table.claimed(job_id)
        assert retry_later_if_held(
            table.db, job_id, fence=1, delay_s=delay_s, outcome=CallOutcome(FAULT)
        )
    assert [_reserve(table, 1), _reserve(table, 1), _reserve(table, 1)] == [[later], [late], []]


def test_a_reservation_says_how_many_were_lost(table: TableUnderTest) -> None:
    """The window counts what has started by it."""
    lost: list[int] = []
    job_id = table.accept()
    assert _reserve(table, 1) == [job_id]
    again = reserve_due(table.db, limit=5, stale_after_s=-1, on_lost=lost.append)
    assert (again, lost) == ([job_id], [1])

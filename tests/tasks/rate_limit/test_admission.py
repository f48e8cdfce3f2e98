"""Leave to call, as the course of a job sees it."""

import threading
import time
from uuid import uuid4

import pytest

from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from tasks.rate_limit.limiter import CallBudget
from tasks.rate_limit.protocol import BudgetLimits, Demand, Grant
from tasks.rate_limit.wait_queue import LATE_S, WaitQueue
from tasks.rate_limit.worker_share import Place, PlaceWatch, place_of


def _budget(
    per_second: float | None = None,
    in_flight: int | None = None,
    *,
    stopping: threading.Event | None = None,
) -> CallBudget:
    watch = PlaceWatch(lambda: Place(0, 1), every_s=60.0)
    budget = CallBudget(
        BudgetLimits(per_second, in_flight),
        watch=watch,
        redis_limiter=None,
        share_wait_s=5.0,
        stopping=stopping or threading.Event(),
    )
    budget.start()
    return budget


def test_without_limits_nothing_is_started() -> None:
    """No thread, no connection (sockets are closed here), and leave at once."""
    before = threading.active_count()
    budget = _budget()
    for _ in range(1000):
        admission = budget.admit()
        assert admission is not None
        admission.end()
    assert threading.active_count() == before
    budget.close()


def test_who_waits_is_turned_away_when_the_process_stops() -> None:
    """One slot, taken: nine wait, and none is left waiting."""
    stopping = threading.Event()
    budget = _budget(in_flight=1, stopping=stopping)
    assert budget.admit() is not None
    answers: list[object] = []
    waiting = [threading.Thread(target=lambda: answers.append(budget.admit())) for _ in range(9)]
    for thread in waiting:
        thread.start()
    stopping.set()
    for thread in waiting:
        thread.join(10)
    assert answers == [None] * 9
    assert budget.admit() is None
    budget.close()


def test_leaving_the_block_gives_everything_back() -> None:
    """One start in an hour and one slot: as long as none is spent, all may have it in turn."""
    budget = _budget(per_second=1 / 3600, in_flight=1)
    for _ in range(20):
        admission = budget.admit()
        assert admission is not None
        with admission, pytest.raises(RuntimeError):
            raise RuntimeError
    budget.close()


def test_a_slot_is_free_once_the_answer_is_in() -> None:
    """Ended early, and again at the end of the block: one slot is freed, not two."""
    budget = _budget(in_flight=1)
    first = budget.admit()
    assert first is not None
    with first:
        first.spend()
        first.end()
        second = budget.admit()
        assert second is not None
    assert budget._queue.in_use == 1
    second.end()
    budget.close()


def test_nothing_goes_wrong_for_ever_when_a_round_breaks_off() -> None:
    """An unknown place (count 0) is survived; the next round goes on."""
    place = [Place(0, 0)]
    watch = PlaceWatch(lambda: place[0], every_s=0.05)
    budget = CallBudget(
        BudgetLimits(None, 1),
        watch=watch,
        redis_limiter=None,
        share_wait_s=0.0,
        stopping=threading.Event(),
    )
    budget.start()
    place[0] = Place(0, 1)
    assert budget.admit() is not None
    budget.close()


def test_starts_that_come_too_late_are_void() -> None:
    """A process that was stopped wakes up: no burst of what it was granted before."""
    line = WaitQueue()
    tickets = [line.join() for _ in range(3)]
    line.add(Grant(3, 0.0, LATE_S, 0.0), 100.0)
    line.admit_due(100.0 + 2 * LATE_S + 0.1)
    assert [ticket.is_admitted for ticket in tickets] == [True, False, False]
    assert line.demand() == Demand(held=1, needed=2, returned=0)


def test_what_nobody_waits_for_goes_back() -> None:
    """Granted to threads that were turned away since."""
    line = WaitQueue()
    line.join()
    line.add(Grant(1, 5.0, 1.0, 0.0), 100.0)
    assert line.demand() == Demand(held=1, needed=0, returned=0)
    line.refuse_all()
    assert line.demand() == Demand(held=0, needed=0, returned=1)


def test_places_come_from_the_table(migrated_url: str) -> None:
    """Living workers in one order for all; one whose lease has run out counts itself last."""
    database = Database(migrated_url)
    ids = [uuid4(), uuid4()]
    for worker_id in ids:
        info = WorkerInfo(worker_id, "host", 1, "1", 4, lease_s=60.0)
        register_worker(database, info)
        time.sleep(0.002)
    assert [place_of(database, worker_id) for worker_id in ids] == [Place(0, 2), Place(1, 2)]
    assert place_of(database, uuid4()) == Place(2, 3)
    database.close()

"""How the threads that deliver are shared, when they rest, and what they do if things go wrong."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked
from storage.records.delivery import ClaimedDelivery, DeliveryState
from storage.webhooks.record_attempts import Recorded, Verdict, record_attempts
from tasks.webhooks.attempt import FIRST_DELAY_S, MAX_DELAY_S, DeliveryAttempt
from tasks.webhooks.loop.delivery_loop import FAULT_WAIT_S, LOOK_EVERY_S, DeliveryLoop
from tasks.webhooks.loop.receiver_limits import MOST_IN_RUN, QUICK_S
from tasks.webhooks.on_end.callback_target import OnEnd
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.schedule import JITTER
from tests.storage.table import TableUnderTest
from tests.tasks.rests import Rests
from tests.tasks.webhooks.loop.test_deliverer import deliverer, ended, make_due, told
from tests.waiting import wait_until

WITHIN_S = 30
DONE = Verdict(DeliveryState.DELIVERED, status=200)
ANYWHERE = "http://127.0.0.1:1/"
Attempt = Callable[[ClaimedDelivery, Sequence[str]], Verdict]


@pytest.fixture
def table(migrated_sqlite_url: str) -> Iterator[TableUnderTest]:
    """A results table."""
    database = Database(migrated_sqlite_url)
    yield TableUnderTest(database)
    database.close()


def noting(owners: list[str]) -> Attempt:
    """Attempts that arrive at once, each with its owner in a list."""

    def attempt(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        owners.append(claimed.delivery.owner)
        return DONE

    return attempt


def waiting_for(release: threading.Event) -> Attempt:
    """Attempts that take until then."""

    def attempt(*_: object) -> Verdict:
        release.wait(WITHIN_S)
        return DONE

    return attempt


def rounds(worker: DeliveryLoop, count: int) -> list[int]:
    """Make rounds, each when the one before is over: how many each claimed."""
    claimed = []
    for _ in range(count):
        claimed.append(worker.round())
        assert worker.wait_until_idle(WITHIN_S)
    return claimed


def test_owners_take_turns_where_there_are_more_of_them_than_threads(
    table: TableUnderTest,
) -> None:
    """A round goes on behind the owner at which the last one stopped, and once around."""
    for owner in "abc" * 2:
        ended(table, ANYWHERE, owner=owner)
    owners: list[str] = []
    assert rounds(deliverer(table, noting(owners), threads=1), 7) == [1] * 6 + [0]
    assert owners == list("abcabc")


def test_threads_are_divided_between_the_owners_of_a_round(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None gets them all, and together they get no more than there are."""
    monkeypatch.setattr("tasks.webhooks.loop.receiver_limits.QUICK_S", 3600.0)
    for owner in "abc":
        ended(table, ANYWHERE, owner=owner)
    owners, release, is_known = list[str](), threading.Event(), threading.Event()
    note = noting(owners)

    def attempt(claimed: ClaimedDelivery, secrets: Sequence[str]) -> Verdict:
        verdict = note(claimed, secrets)
        if is_known.is_set():
            release.wait(WITHIN_S)
        return verdict

    worker = deliverer(table, attempt, threads=4)
    assert rounds(worker, 1) == [3], "a receiver that was never tried gets one"
    owners.clear()
    is_known.set()
    for owner in "abc" * (MOST_IN_RUN + 1):
        ended(table, ANYWHERE, owner=owner)
    assert worker.round() > 0
    wait_until(lambda: len(owners) == 4)
    assert sorted(Counter(owners).values()) == [1, 1, 2]
    release.set()
    assert worker.wait_until_idle(WITHIN_S)


def test_a_worker_without_a_free_thread_claims_nothing_and_rests(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not ask the table either; a thread that becomes free wakes it up at once."""
    monkeypatch.setattr("tasks.webhooks.loop.delivery_loop.LOOK_EVERY_S", 3600.0)
    for _ in range(3):
        ended(table, ANYWHERE)
    looks: list[int] = []
    while_busy: list[int] = []

    def attempt(_claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        before = len(looks)
        until_s = time.monotonic() + 0.2
        while len(looks) < before + 50 and time.monotonic() < until_s:
            time.sleep(0.01)
        while_busy.append(len(looks) - before)
        return DONE

    worker = deliverer(table, attempt, threads=1)
    make_round = worker.round

    def counted() -> int:
        looks.append(1)
        return make_round()

    monkeypatch.setattr(worker, "round", counted)
    worker.loop.start()
    worker.loop.wake()  # or its first round would come after an hour
    wait_until(lambda: len(while_busy) == 3)
    assert worker.loop.stop(timeout_s=WITHIN_S)
    assert max(while_busy) <= 2


def test_a_worker_with_all_threads_busy_needs_no_table(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are for those that can use what they read."""
    release = threading.Event()
    ended(table, ANYWHERE)
    worker = deliverer(table, waiting_for(release), threads=1)
    assert worker.round() == 1

    def away(*_: object, **__: object) -> list[str]:
        raise AssertionError("asked")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.webhooks.loop.delivery_loop.owners_due", away)
        assert worker.round() == 0
    release.set()
    assert worker.wait_until_idle(WITHIN_S)


def test_waiting_for_the_attempts_under_way_ends_when_time_runs_out(table: TableUnderTest) -> None:
    """And says so; also where there is no time at all."""
    release = threading.Event()
    ended(table, ANYWHERE)
    worker = deliverer(table, waiting_for(release))
    assert worker.wait_until_idle(0)
    worker.round()
    assert not worker.wait_until_idle(0.01)
    assert not worker.wait_until_idle(-5)
    release.set()
    assert worker.wait_until_idle(WITHIN_S)


def test_attempts_under_way_keep_no_process_from_ending(table: TableUnderTest) -> None:
    """A receiver may take as long as its time limit; another worker sends it again."""
    kinds: list[bool] = []

    def attempt(*_: object) -> Verdict:
        kinds.append(threading.current_thread().daemon)
        return DONE

    ended(table, ANYWHERE)
    rounds(deliverer(table, attempt), 1)
    assert kinds == [True]


def test_what_was_claimed_too_long_ago_is_not_sent(table: TableUnderTest) -> None:
    """The process was stopped for so long that another may have sent it since."""
    owners: list[str] = []
    job_id = ended(table, ANYWHERE)
    assert rounds(deliverer(table, noting(owners), lease_s=-1.0), 1) == [1]
    assert owners == []
    assert told(table, job_id).state is DeliveryState.PENDING
    assert rounds(deliverer(table, noting(owners)), 1) == [1]
    assert len(owners) == 1


def test_an_attempt_that_breaks_off_frees_its_thread(
    table: TableUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    """The delivery comes back when its claim has run out."""
    faults = iter([ZeroDivisionError("never heard of")])

    def attempt(*_: object) -> Verdict:
        for fault in faults:
            raise fault
        return DONE

    job_id = ended(table, ANYWHERE)
    worker = deliverer(table, attempt, threads=1)
    rounds(worker, 1)
    assert "a delivery broke off" in caplog.text
    make_due(table)
    assert rounds(worker, 1) == [1]
    assert told(table, job_id).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("fault", [RowLocked("locked"), DatabaseUnavailable("away")])
def test_what_became_of_an_attempt_is_kept_until_it_can_be_written(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Sent once, however often the table refuses."""
    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.RECORD_AGAIN_S", 0.001)
    faults, owners = iter([fault] * 3), list[str]()

    def record(*args: Any) -> Recorded:
        for each in faults:
            raise each
        return record_attempts(*args)

    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.record_attempts", record)
    job_id = ended(table, ANYWHERE)
    rounds(deliverer(table, noting(owners)), 1)
    assert (told(table, job_id).state, len(owners)) == (DeliveryState.DELIVERED, 1)


def test_what_cannot_be_written_before_the_claim_has_run_out_is_given_up(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process has the delivery from then on; a thread does not wait indefinitely."""
    ahead_s = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead_s, sleep=time.sleep)
    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.time", clock)

    def record(*_: Any) -> Recorded:
        nonlocal ahead_s
        ahead_s = 3600.0
        raise DatabaseUnavailable("away")

    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.record_attempts", record)
    job_id = ended(table, ANYWHERE)
    rounds(deliverer(table, noting([]), lease_s=3600.0), 1)
    assert told(table, job_id).state is DeliveryState.PENDING
    assert "what became of a delivery is lost; it is repeated" in caplog.text


def test_attempts_that_end_together_are_recorded_together(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads do not wait for it, and one connection serves all."""
    together, sizes = threading.Barrier(6), list[int]()

    def record(db: Database, attempts: Sequence[Any]) -> Recorded:
        assert worker._limits.wait_until_free(WITHIN_S)
        sizes.append(len(attempts))
        return record_attempts(db, attempts)

    def attempt(*_: object) -> Verdict:
        together.wait(WITHIN_S)
        return DONE

    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.record_attempts", record)
    jobs = [ended(table, ANYWHERE, owner=owner) for owner in "abcdef"]
    worker = deliverer(table, attempt, threads=8)
    assert rounds(worker, 1) == [6]
    assert sum(sizes) == 6
    assert len(sizes) <= 2
    assert {told(table, each).state for each in jobs} == {DeliveryState.DELIVERED}


def test_a_result_that_no_row_can_hold_harms_no_other(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A group that fails is recorded one by one."""
    both = threading.Barrier(2)

    def record(db: Database, attempts: Sequence[Any]) -> Recorded:
        assert worker._limits.wait_until_free(WITHIN_S)
        return record_attempts(db, attempts)

    def attempt(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        both.wait(WITHIN_S)
        if claimed.delivery.owner == "bad":
            return Verdict(DeliveryState.DELIVERED)  # neither a status nor an error
        return DONE

    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.record_attempts", record)
    good, bad = ended(table, ANYWHERE, owner="good"), ended(table, ANYWHERE, owner="bad")
    worker = deliverer(table, attempt)
    rounds(worker, 1)
    assert told(table, good).state is DeliveryState.DELIVERED
    assert told(table, bad).state is DeliveryState.PENDING
    assert "the result of a delivery could not be recorded" in caplog.text


def test_results_wait_for_a_thread_that_could_not_be_started(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are recorded with the next one; the thread that delivered is free."""
    start, refusals = threading.Thread.start, iter([True])

    def start_if_it_may(thread: threading.Thread) -> None:
        if thread.name == "delivery-records" and next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_it_may)
    jobs = [ended(table, ANYWHERE)]
    worker = deliverer(table, noting([]), lease_s=3600.0)
    assert worker.round() == 1
    wait_until(lambda: "results of deliveries wait for a thread" in caplog.text)
    assert worker._limits.wait_until_free(WITHIN_S)
    assert not worker.wait_until_idle(0.01)
    jobs.append(ended(table, ANYWHERE))
    assert rounds(worker, 1) == [1]
    assert {told(table, each).state for each in jobs} == {DeliveryState.DELIVERED}


def test_dead_receivers_of_an_owner_do_not_delay_its_live_one(table: TableUnderTest) -> None:
    """However many deliveries wait for the dead ones, all of them older."""
    release, arrived = threading.Event(), list[UUID]()

    def attempt(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        assert claimed.delivery.job_id is not None
        if "dead" in claimed.receiver:
            release.wait(WITHIN_S)
        arrived.append(claimed.delivery.job_id)
        return DONE

    for number in range(40):
        for _ in range(3):
            ended(table, f"http://dead{number}.invalid/")
    # The receivers that were tried before are known; this one is the first in no order.
    live = [ended(table, "http://live.invalid/") for _ in range(20)]
    worker = deliverer(table, attempt, threads=8, lease_s=3600.0)
    for number in range(40):
        run = worker._limits.begin(("ada", f"http://dead{number}.invalid"))
        run.began_at -= 2 * QUICK_S
        worker._limits.answered(run)
        worker._limits.end(run)
    worker.loop.start()
    wait_until(lambda: all(told(table, each).state == "delivered" for each in live))
    assert worker._limits.free == 4
    assert set(arrived) == set(live)
    release.set()
    worker.loop.stop(timeout_s=WITHIN_S)
    assert worker.wait_until_idle(WITHIN_S)


def test_what_was_claimed_for_a_receiver_that_turns_slow_is_handed_back(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due at once, and the claim is no attempt."""
    monkeypatch.setattr("tasks.webhooks.loop.receiver_limits.QUICK_S", 600.0)
    sent = list[UUID]()

    def attempt(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        sent.append(claimed.delivery.id)
        if len(sent) == 3:
            monkeypatch.setattr("tasks.webhooks.loop.receiver_limits.QUICK_S", -1.0)
        return DONE

    worker = deliverer(table, attempt, threads=2)
    jobs = [ended(table, ANYWHERE)]
    assert rounds(worker, 1) == [1]
    jobs += [ended(table, ANYWHERE) for _ in range(6)]
    claimed = worker.round()
    assert worker.wait_until_idle(WITHIN_S)
    assert claimed == 6
    left = [told(table, each) for each in jobs if told(table, each).id not in sent]
    assert left
    for delivery in left:
        assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 0)
    while worker.round():
        assert worker.wait_until_idle(WITHIN_S)
    assert len(sent) == len(set(sent)) == 7
    assert {told(table, each).attempts for each in jobs} == {1}


@pytest.mark.parametrize(
    ("fault", "rest_s"),
    [(RowLocked("locked"), 1.0), (DatabaseUnavailable("away"), 1.0), (KeyError(), FAULT_WAIT_S)],
)
def test_a_round_that_failed_is_followed_by_a_rest(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, fault: Exception, rest_s: float
) -> None:
    """Whatever went wrong: a table that is away is not asked again and again."""
    worker, tries = deliverer(table), list[int]()

    def fail() -> int:
        tries.append(1)
        raise fault

    monkeypatch.setattr(worker, "round", fail)
    rests = Rests(worker.loop, last=3)
    worker.loop.run()
    assert (len(tries), rests.seconds) == (1, [LOOK_EVERY_S, rest_s, LOOK_EVERY_S])


def test_a_deliverer_that_is_told_to_stop_claims_nothing(table: TableUnderTest) -> None:
    """What is due is another worker's."""
    owners = list[str]()
    ended(table, ANYWHERE)
    worker = deliverer(table, noting(owners))
    worker.loop.end()
    worker.loop.run()
    assert owners == []


class Tasks:
    """A broker that says one thing."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.sent: list[dict[str, Any]] = []

    def send(self, on_end: OnEnd, *, task_id: str, kwargs: dict[str, Any]) -> Outcome:
        """Note what was to be sent."""
        self.sent.append({"task": on_end.task, "id": task_id, **kwargs})
        return self.outcome


def claimed_task(table: TableUnderTest, attempt: int = 1) -> ClaimedDelivery:
    """The delivery of a job's end to a task, claimed for this attempt."""
    found: list[ClaimedDelivery] = []

    def keep(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        found.append(claimed)
        return DONE

    ended(table, OnEnd(task="shop.made", queue="shop").target)
    rounds(deliverer(table, keep), 1)
    return replace(found[0], delivery=replace(found[0].delivery, attempts=attempt))


def attempt_by(tasks: Tasks, claimed: ClaimedDelivery) -> Verdict:
    """An attempt over this broker."""
    parts: list[Any] = [None, tasks]
    return DeliveryAttempt(*parts, default_secret=None).send(claimed, [])


def test_a_task_gets_the_id_and_the_status_under_the_deliverys_own_id(
    table: TableUnderTest,
) -> None:
    """So that a receiver that gets it twice can recognize it."""
    claimed, tasks = claimed_task(table), Tasks(Outcome(200, 0.25))
    verdict = attempt_by(tasks, claimed)
    assert (verdict.state, verdict.latency_ms, verdict.error) == ("delivered", 250, None)
    delivery = claimed.delivery
    assert tasks.sent == [
        {
            "task": "shop.made",
            "id": str(delivery.id),
            "job_id": str(delivery.job_id),
            "status": "cancelled",
        }
    ]


@pytest.mark.parametrize(
    ("attempt", "wait_s"),
    [(1, FIRST_DELAY_S), (2, 2 * FIRST_DELAY_S), (4, 8 * FIRST_DELAY_S), (999, MAX_DELAY_S)],
)
def test_a_broker_that_is_away_is_tried_for_ever_with_longer_waits(
    table: TableUnderTest, attempt: int, wait_s: float
) -> None:
    """Doubled each time up to a bound; never sooner, and a little later at most."""
    random.seed(attempt)
    claimed = claimed_task(table, attempt)
    for _ in range(20):
        verdict = attempt_by(Tasks(Outcome(Failure.CONNECTION_LOST, 0.0)), claimed)
        assert verdict.state == "pending"
        assert verdict.delay_s is not None
        assert wait_s <= verdict.delay_s <= JITTER * wait_s


def test_a_queue_that_is_refused_is_given_up(table: TableUnderTest) -> None:
    """Trying again would not help."""
    verdict = attempt_by(Tasks(Outcome(Failure.QUEUE_REFUSED, 0.0)), claimed_task(table))
    assert (verdict.state, verdict.error) == ("failed", "QUEUE_REFUSED")


def test_the_end_of_a_job_that_is_gone_by_now_is_not_sent(table: TableUnderTest) -> None:
    """Its body went with it."""
    tasks = Tasks(Outcome(200, 0.0))
    verdict = attempt_by(tasks, replace(claimed_task(table), body=None))
    assert (verdict.state, verdict.error, tasks.sent) == ("failed", "FORGOTTEN", [])

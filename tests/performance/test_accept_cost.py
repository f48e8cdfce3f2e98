"""What accepting a job may cost the database, counted on the wire: statements and round trips.

What a process remembers for a second (free call slots, owners' defaults) is read before counting
begins, and the second is made to last. So is what other processes would do: nothing else uses this
database.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from benchmarks.figures.wiretap import Wiretap, tapped
from benchmarks.servers.until import until
from playground.request.request import RequestLimits
from storage.db.database import Database
from tasks.dispatch.enqueue import Dispatch
from tasks.dispatch.window import Window
from tasks.messages.group_ack import GroupAck
from tasks.submission.intake import Intake
from tasks.submission.message_groups import MessageGroups
from tests.tasks.submissions import Loop, Message, Tap, submit_over

JOBS = 16

MOST_WHEN_IDLE = 1  # one statement, which commits itself
MOST_WITH_A_KEY = 2  # insert and search for a tombstone in one round trip, and COMMIT
MOST_FOR_A_MESSAGE = 2  # the same: its producer chose its id
MOST_TOGETHER = 0.5  # 0.19 measured: the first job alone, then fifteen in one group


class Broker:
    """Takes every message."""

    is_open = True

    def __init__(self) -> None:
        self.messages: list[list[UUID]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def publish(self, job_ids: Sequence[UUID], *, fewest: int = 2) -> list[UUID]:
        """Take a message."""
        del fewest
        assert self.may_go_on.wait(timeout=60)
        self.messages.append(list(job_ids))
        return []


@pytest.fixture
def broker() -> Broker:
    """A broker of its own."""
    return Broker()


@pytest.fixture
def tap(new_migrated_postgres_url: str) -> Iterator[tuple[Wiretap, str]]:
    """A wiretap before a migrated database."""
    with tapped(new_migrated_postgres_url) as found:
        yield found


@pytest.fixture
def intake(
    tap: tuple[Wiretap, str], broker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Intake]:
    """An intake that has accepted a job of each kind already."""
    monkeypatch.setattr("tasks.dispatch.window.READ_FOR_NEW_JOBS_S", 3600.0)
    monkeypatch.setattr("tasks.submission.accept_groups.DEFAULTS_S", 3600.0)
    database = Database(tap[1], pool_size=JOBS)
    window = Window(database, fixed=None, per_second=None)
    dispatch = Dispatch(database, broker, broker, window=window, again_s=600, lost_s=600)
    made = Intake(
        database,
        lambda: broker,
        dispatch,
        limits=RequestLimits(),
        key_prefix="",
        simulated=True,
    )
    for key in (None, "first"):
        submit(made, key, seed=1)
    assert dispatch.drain()
    yield made
    dispatch.close()
    database.close()


def submit(intake: Intake, key: str | None = None, *, seed: int | None = None) -> UUID:
    """Accept a job."""
    request = {"prompt": "a fox"} | ({} if seed is None else {"seed": seed})
    options = {} if key is None else {"idempotency_key": key}
    accepted = intake.accept(request, options)
    assert accepted.created
    return accepted.job.id


def test_an_idle_job_without_a_key_is_one_statement(
    tap: tuple[Wiretap, str], intake: Intake
) -> None:
    """Nothing can repeat it, so nothing is looked for; its seed is noted with it."""
    wire, _ = tap
    before = wire.statements, wire.round_trips
    for seed in range(1, JOBS + 1):
        submit(intake, seed=seed)
    assert wire.statements - before[0] == MOST_WHEN_IDLE * JOBS
    assert wire.round_trips - before[1] == MOST_WHEN_IDLE * JOBS


def test_an_idle_job_with_a_key_is_two_round_trips(
    tap: tuple[Wiretap, str], intake: Intake
) -> None:
    """The insert, and the search for a tombstone behind it."""
    wire, _ = tap
    before = wire.statements, wire.round_trips
    for number in range(JOBS):
        submit(intake, f"key {number}")
    assert wire.statements - before[0] == MOST_WITH_A_KEY * JOBS
    assert wire.round_trips - before[1] == MOST_WITH_A_KEY * JOBS


def test_jobs_that_arrive_together_share_statements_and_a_message(
    tap: tuple[Wiretap, str], intake: Intake, broker: Broker
) -> None:
    """The first one is written while the others gather; then they are one group."""
    wire, _ = tap
    begin, entered = threading.Event(), threading.Event()
    write = intake.groups.write

    def held_up(members: Any) -> Any:
        entered.set()
        assert begin.wait(timeout=60)
        return write(members)

    intake.groups.write = held_up  # type: ignore[method-assign]
    broker.messages.clear()
    before = wire.statements, wire.round_trips
    with ThreadPoolExecutor(JOBS) as threads:
        first = threads.submit(submit, intake, "key 0")
        assert entered.wait(timeout=60)
        others = [threads.submit(submit, intake, f"key {number}") for number in range(1, JOBS)]
        until(partial(_are_waiting, intake, JOBS - 1), "jobs that wait for their group")
        begin.set()
        ids = [accepted.result(timeout=60) for accepted in (first, *others)]
    assert (wire.statements - before[0]) / JOBS <= MOST_TOGETHER
    assert (wire.round_trips - before[1]) / JOBS <= MOST_TOGETHER
    until(lambda: sum(map(len, broker.messages)) == JOBS, "all jobs to be sent")
    assert len(broker.messages) <= 2
    assert {job_id for message in broker.messages for job_id in message} == set(ids)


def _are_waiting(intake: Intake, number: int) -> bool:
    return len(intake.groups._entries) == number


@pytest.fixture
def loop() -> Loop:
    """Celery's consumer."""
    return Loop()


@pytest.fixture
def messages(intake: Intake, loop: Loop) -> Iterator[MessageGroups]:
    """A worker's message groups."""
    tap = Tap()
    ack = GroupAck(tap, renew_every_s=3600)
    made = MessageGroups(intake, submit_over(intake), ack, tap=tap, queue="darkroom.submit")
    made.attach(loop)
    yield made
    made.leave()


def has_ended(message: Message, loop: Loop) -> bool:
    """Whether a message is acknowledged by now."""
    loop.run()
    return message.acknowledged


def test_a_message_that_comes_alone_is_two_round_trips(
    tap: tuple[Wiretap, str], messages: MessageGroups, loop: Loop
) -> None:
    """It waits for no other, and is acknowledged after its commit."""
    wire, _ = tap
    before = wire.statements, wire.round_trips
    for _ in range(JOBS):
        message = Message()
        messages.add(message, 100)
        until(partial(has_ended, message, loop), "the message's end", look_again_s=0.01)
    assert wire.statements - before[0] == MOST_FOR_A_MESSAGE * JOBS
    assert wire.round_trips - before[1] == MOST_FOR_A_MESSAGE * JOBS


def test_messages_that_arrive_together_share_statements_and_acknowledgements(
    tap: tuple[Wiretap, str], intake: Intake, messages: MessageGroups, loop: Loop
) -> None:
    """The first group is written while the others gather; then they are one group."""
    wire, _ = tap
    begin = threading.Event()
    write = intake.groups.write

    def held_up(members: Any) -> Any:
        assert begin.wait(timeout=60)
        return write(members)

    intake.groups.write = held_up  # type: ignore[method-assign]
    before = wire.statements, wire.round_trips
    sent = [Message() for _ in range(JOBS)]
    for message in sent:
        messages.add(message, 100)
    begin.set()
    for message in sent:
        until(partial(has_ended, message, loop), "the message's end", look_again_s=0.01)
    assert wire.statements - before[0] <= MOST_TOGETHER * JOBS
    assert wire.round_trips - before[1] <= MOST_TOGETHER * JOBS

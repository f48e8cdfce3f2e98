"""Messages that arrive together are one group, and each keeps its own outcome."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import tasks.messages.group_ack
import tasks.submission.lone_messages
import tasks.submission.message_groups
from benchmarks.servers.until import until
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, JobNotFound, RowLocked
from storage.intake.insert import insert_job
from storage.queries.get import get_job
from storage.records.job import Job
from storage.retention.delete import forget_jobs
from tasks.messages.gate import EXPIRES, FAULT
from tasks.messages.group_ack import GroupAck
from tasks.queues import GENERATE
from tasks.submission.intake import Intake
from tasks.submission.message_groups import MessageGroups
from tests.storage.table import new_job
from tests.tasks.submissions import Loop, Message, Tap, intake_over, submit_over

QUEUE = "darkroom.submit"


class Worker:
    """Message groups of a worker, before a table."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.loop, self.tap = Loop(), Tap()
        ack = GroupAck(self.tap, renew_every_s=20)
        self.groups = MessageGroups(intake, submit_over(intake), ack, tap=self.tap, queue=QUEUE)
        self.written: list[int] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.failures: list[Exception] = []
        write = intake.groups.write

        def noted(members: Any) -> Any:
            assert self.may_write.wait(timeout=60)
            self.written.append(len(members))
            if self.failures:
                return [self.failures.pop(0)] * len(members)
            return write(members)

        intake.groups.write = noted  # type: ignore[method-assign]

    def start(self) -> None:
        """Attach the consumer."""
        self.groups.attach(self.loop)

    def add(self, *messages: Message, body_bytes: int = 100) -> None:
        """Deliver messages at once: none is written before the last one has arrived."""
        self.may_write.clear()
        for message in messages:
            assert self.groups.takes(message, QUEUE)
            self.groups.add(message, body_bytes)
        self.may_write.set()

    def ends(self, *messages: Message) -> list[str]:
        """Wait until all have ended, and tell how."""

        def have_ended() -> bool:
            self.loop.run()
            return all(message.ended for message in messages)

        until(have_ended, "the messages' ends", look_again_s=0.01)
        return [", ".join(message.ended) for message in messages]


@pytest.fixture
def worker(migrated_database: Database) -> Iterator[Worker]:
    """A worker over a table, once on each database."""
    made = Worker(intake_over(migrated_database))
    made.start()
    yield made
    made.groups.leave()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held is tried again soon."""
    monkeypatch.setattr(tasks.submission.message_groups, "HOLD_S", 0.01)
    monkeypatch.setattr(tasks.submission.lone_messages, "HOLD_S", 0.01)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that stops waits for what is being processed, however slow the machine is."""
    monkeypatch.setattr(tasks.submission.message_groups, "LEAVE_S", 60.0)
    monkeypatch.setattr(tasks.submission.lone_messages, "LEAVE_S", 60.0)


def job_of(db: Database, message: Message) -> Job:
    """The row of a message."""
    return get_job(db, message.id)


def test_what_arrives_while_a_group_is_written_is_the_next_group(worker: Worker) -> None:
    """The first message waits for no other."""
    messages = [Message() for _ in range(20)]
    worker.add(*messages)
    assert worker.ends(*messages) == ["ack"] * 20
    assert sum(worker.written) == 20
    assert len(worker.written) <= 3


def test_each_message_of_a_group_keeps_its_own_outcome(
    worker: Worker, migrated_database: Database
) -> None:
    """One that is invalid, in conflict or forgotten is as if it had come alone."""
    db = migrated_database
    known, forgotten = new_job(idempotency_key="taken"), new_job(idempotency_key="gone")
    for job in (known, forgotten):
        insert_job(db, job)
    forget_jobs(db, [forgotten.id], key_prefix="")
    fox = {"prompt": "a fox"}
    valid, again, invalid = Message(), Message(), Message(request={"prompt": "", "width": 33})
    conflict = Message(request=fox, idempotency_key="taken")
    gone, back = Message(request=fox, idempotency_key="gone"), Message(forgotten.id)
    strange = Message(request=fox, unknown=1)
    first = Message()
    worker.add(first)
    worker.ends(first)
    again.headers["id"] = first.headers["id"]
    messages = [valid, again, invalid, conflict, gone, back, strange]
    worker.add(*messages)
    assert worker.ends(*messages) == ["ack"] * 7
    assert job_of(db, valid).status == "queued"
    assert job_of(db, again).status == "queued"
    codes = []
    for message in (invalid, conflict, gone, strange):
        error = job_of(db, message).error
        assert error is not None
        codes.append(error.code)
    assert codes == [
        "INVALID_REQUEST",
        "IDEMPOTENCY_KEY_TAKEN",
        "FORGOTTEN",
        "INVALID_REQUEST",
    ]
    with pytest.raises(JobNotFound):
        job_of(db, back)


@pytest.mark.parametrize("is_same", [True, False])
def test_two_messages_with_one_key_are_answered_as_two_in_a_row(
    worker: Worker, migrated_database: Database, *, is_same: bool
) -> None:
    """The first becomes the job, whatever else is in their group."""
    first = Message(request={"prompt": "a fox"}, idempotency_key="k")
    other = {"prompt": "a fox" if is_same else "an owl"}
    second = Message(request=other, idempotency_key="k")
    messages = [Message(), first, second, Message()]
    worker.add(*messages)
    assert worker.ends(*messages) == ["ack"] * 4
    assert job_of(migrated_database, first).status == "queued"
    if is_same:
        with pytest.raises(JobNotFound):
            job_of(migrated_database, second)
    else:
        assert job_of(migrated_database, second).status == "failed"


def test_a_group_that_fails_is_processed_one_by_one(
    worker: Worker, migrated_database: Database
) -> None:
    """A locked row or a fault of Darkroom's own holds up only its own message."""
    worker.intake.groups.write = _fail_for_many(worker)  # type: ignore[method-assign]
    messages = [Message() for _ in range(5)]
    worker.add(*messages)
    assert worker.ends(*messages) == ["ack"] * 5
    assert all(job_of(migrated_database, message).status == "queued" for message in messages)


def _fail_for_many(worker: Worker) -> Any:
    write = worker.intake.groups.write

    def fail(members: Any) -> Any:
        if threading.current_thread().name == "submits":
            raise ValueError("'a secret prompt' is a fault of ours")
        return write(members)

    return fail


@pytest.mark.usefixtures("impatient")
def test_while_the_database_is_away_the_group_is_held_and_nothing_is_consumed(
    worker: Worker, migrated_database: Database
) -> None:
    """The same group is written again each second; no message is acknowledged meanwhile."""
    worker.failures = [DatabaseUnavailable("away")] * 3
    messages = [Message() for _ in range(3)]
    worker.add(*messages)
    until(lambda: worker.groups.is_waiting or not worker.failures, "the first failure")
    assert worker.ends(*messages) == ["ack"] * 3
    assert len(worker.written) >= 4
    assert not worker.failures
    until(lambda: not worker.groups.is_waiting, "the end of the wait")
    assert worker.tap.reasons == set()
    assert all(job_of(migrated_database, message).status == "queued" for message in messages)


@pytest.mark.usefixtures("impatient")
def test_a_message_is_not_held_longer_than_a_broker_lets_it_be(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RabbitMQ closes a channel whose message is unacknowledged for 30 minutes."""
    monkeypatch.setattr(tasks.submission.lone_messages, "HOLD_AT_MOST_S", 0.0)
    worker.failures = [DatabaseUnavailable("away")]
    message, after = Message(), Message()
    worker.add(message)
    assert worker.ends(message) == ["requeue"]
    assert worker.tap.reasons == set()
    worker.add(after)
    assert worker.ends(after) == ["ack"]


@pytest.mark.usefixtures("impatient")
def test_a_locked_row_holds_up_no_other_message(
    worker: Worker, migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, on a thread that groups do not need."""
    locked, other = Message(request={"prompt": "", "n": 1}), Message()
    is_locked = threading.Event()
    is_locked.set()
    faulty = worker.intake.unserved.faulty

    def may_be_locked(*arguments: Any) -> Any:
        if is_locked.is_set():
            raise RowLocked("by another transaction")
        return faulty(*arguments)

    monkeypatch.setattr(worker.intake.unserved, "faulty", may_be_locked)
    worker.add(locked, other)
    assert worker.ends(other) == ["ack"]
    until(lambda: worker.groups.is_waiting, "the locked row")
    assert locked.ended == []
    is_locked.clear()
    assert worker.ends(locked) == ["ack"]
    assert job_of(migrated_database, locked).status == "failed"


@pytest.mark.usefixtures("impatient")
def test_a_message_that_is_tried_again_still_waits_for_storage(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try may take as long as a lock does; the watchdog must not take that for a fault."""
    faulty = worker.intake.unserved.faulty
    is_tried_again, may_end = threading.Event(), threading.Event()
    faults = iter([RowLocked("by another transaction")])

    def locked_at_first(*arguments: Any) -> Any:
        for fault in faults:
            raise fault
        is_tried_again.set()
        assert may_end.wait(timeout=60)
        return faulty(*arguments)

    monkeypatch.setattr(worker.intake.unserved, "faulty", locked_at_first)
    message = Message(request={"prompt": ""})
    worker.add(message)
    assert is_tried_again.wait(timeout=60)
    assert worker.groups.is_waiting
    may_end.set()
    assert worker.ends(message) == ["ack"]
    until(lambda: not worker.groups.is_waiting, "the end of the wait")


def test_what_is_gathered_is_limited_by_its_number(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit the queue is not consumed; at half of it, it is again."""
    monkeypatch.setattr(tasks.messages.group_ack, "MAX_MESSAGES", 4)
    messages = [Message() for _ in range(4)]
    worker.add(*messages[:3])
    assert worker.tap.reasons == set()
    worker.add(messages[3])
    assert worker.tap.reasons == {"enough messages"}
    worker.ends(*messages)
    assert worker.tap.reasons == set()


def test_what_is_gathered_is_limited_by_its_bytes(worker: Worker) -> None:
    """Twenty megabytes of text are sixty in memory."""
    message = Message()
    worker.add(message, body_bytes=20_000_000)
    assert worker.tap.reasons == {"enough messages"}
    worker.ends(message)
    assert worker.tap.reasons == set()


@pytest.mark.usefixtures("unhurried")
def test_a_consumer_that_stops_gives_back_what_is_not_written(worker: Worker) -> None:
    """What was being written is acknowledged; the rest is left to other workers."""
    begun, left = Message(), Message()
    worker.may_write.clear()
    worker.groups.add(begun, 100)
    until(lambda: not worker.groups._waiting, "the first group")
    worker.groups.add(left, 100)
    threading.Timer(0.2, worker.may_write.set).start()
    worker.groups.leave()
    assert (begun.ended, left.ended) == (["ack"], ["requeue"])
    after = Message()
    worker.start()
    worker.add(after)
    assert worker.ends(after) == ["ack"]


@pytest.mark.usefixtures("unhurried")
def test_a_consumer_that_stops_gives_back_what_could_not_be_stored_meanwhile(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a message that was being processed alone, too, nothing is kept for the next consumer."""
    has_begun, may_end = threading.Event(), threading.Event()

    def fail(_: Any) -> Exception:
        has_begun.set()
        assert may_end.wait(timeout=60)
        return RowLocked("locked")

    monkeypatch.setattr(worker.groups._lone._submit, "keep_or_wait", fail)
    invalid = Message(request={"prompt": ""})
    worker.add(invalid)
    assert has_begun.wait(timeout=60)
    threading.Timer(0.2, may_end.set).start()
    worker.groups.leave()
    assert invalid.ended == ["requeue"]


@pytest.mark.usefixtures("impatient")
def test_a_consumer_that_stops_while_the_database_is_away_can_consume_again(
    worker: Worker,
) -> None:
    """After a lost connection to the broker, the switch of the queue must not stay off."""
    worker.failures = [DatabaseUnavailable("away")] * 1_000_000
    message = Message()
    worker.add(message)
    until(lambda: worker.groups.is_waiting, "the failure")
    worker.failures = []
    worker.groups.leave()
    until(lambda: not worker.groups.is_waiting, "the end of the wait")
    worker.ends(message)
    assert worker.tap.reasons == set()


@pytest.mark.parametrize(
    "message",
    [
        Message(task=GENERATE),
        Message(embed={"callbacks": [{"task": "a.task"}]}),
        Message(request={"prompt": "a fox", "init_image": "aGk="}),
    ],
)
def test_some_messages_are_left_to_celerys_pool(worker: Worker, message: Message) -> None:
    """Celery sends callbacks; an initial image takes its thread as long as the put takes."""
    assert not worker.groups.takes(message, QUEUE)


@pytest.mark.parametrize("header", [FAULT, EXPIRES])
def test_a_malformed_or_expiring_message_is_left_to_celerys_pool(
    worker: Worker, header: str
) -> None:
    """The task rejects the one, and inserts the other as cancelled."""
    message = Message()
    message.headers[header] = "set by the gate"
    assert not worker.groups.takes(message, QUEUE)


def test_a_submit_in_another_queue_is_left_to_celerys_pool(worker: Worker) -> None:
    """A pause of the submit queue would not stop it."""
    assert not worker.groups.takes(Message(), "darkroom.generate")


def test_a_broken_connection_costs_one_attempt(worker: Worker) -> None:
    """The broker delivers the others again, without a timeout for each."""
    messages = [Message() for _ in range(5)]
    tried: list[Message] = []
    for message in messages:
        message.channel = messages[0]

        def fail(message: Message = message) -> None:
            tried.append(message)
            message.ended.append("lost")
            raise AttributeError("a collected channel")

        message.ack = fail  # type: ignore[method-assign]
    worker.add(*messages)
    worker.ends(messages[0])
    until(lambda: worker.groups.ended == 5, "the others", look_again_s=0.01)
    assert len(tried) <= len(worker.written)


def test_nothing_of_a_message_is_logged(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails, only its type and the job's id are."""
    caplog.set_level("DEBUG")
    worker.intake.groups.write = _fail_for_many(worker)  # type: ignore[method-assign]
    message = Message(request={"prompt": "a secret prompt"})
    bad = Message(request={"prompt": "a secret prompt", "width": 33})
    worker.add(message, bad)
    worker.ends(message, bad)
    assert "secret" not in caplog.text
    assert all("secret" not in str(vars(record)) for record in caplog.records)

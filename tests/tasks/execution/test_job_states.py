"""A job's run on an executor thread: what is claimed, called, given back and counted."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from playground.answers.verdict import Meaning, Verdict
from storage.db.database import Database
from storage.dispatch.reserve import unreserve
from storage.errors import DatabaseUnavailable, ObjectMissing, ObjectStoreUnavailable, RowLocked
from storage.fleet.daily_calls import calls_today
from storage.fleet.pause import PauseKind, pause_fleet
from storage.fleet.state import fleet_state
from storage.intake.insert import insert_job
from storage.jobs.claim import claim_if_due
from storage.jobs.release import retry_later_if_held
from storage.queries.filter import database_time
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import JobError, NewJob, StoredImage
from storage.records.states import CallCount, EndCode, JobStatus
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.execution.api_call import CallAnswer
from tasks.execution.call_control import CallControl
from tasks.execution.claim_job import ClaimJob, ClaimSettings
from tasks.execution.prepare_call import (
    INIT_IMAGE_MISSING,
    STORAGE_AWAY,
    STORAGE_AWAY_S,
    PrepareCall,
    PreparedCall,
)
from tasks.execution.record_failure import RecordFailure
from tasks.execution.retry_policy import RetryPolicy
from tasks.execution.run_job import RunJob
from tasks.rate_limit.permit import Permit
from tasks.storing.keep_images import KeepImages
from tasks.storing.open_claims import OpenClaims
from tasks.storing.spool_space import SpoolSpace
from tasks.throttling.call_gate import CallGate
from tests.tasks.jobs import PNG
from tests.tasks.pausing import WorkerUnderTest, worker_of
from tests.tasks.storing.test_upload_threads import Bucket

IMAGE = SpooledImage([PNG], width=1, height=1)
WITH_IMAGE = {"prompt": "a fox", "seed": 7, "strength": 0.5}
FAILED = Verdict(Meaning.NOT_PAID, "HTTP_500", "down")
IMAGE_RECEIVED = Verdict(Meaning.RECEIVED, "OK", "")


class Objects(Bucket):
    """A bucket in which initial images are looked up."""

    fault: Exception | None = None

    def get(self, key: str) -> bytes:
        """Read an object, or fail as it was told."""
        if self.fault is not None:
            raise self.fault
        assert key == "init/ab"
        return PNG


class Call:
    """A call that ends with the verdict that the test sets."""

    def __init__(self) -> None:
        self.verdict = FAILED
        self.during: Callable[[], object] = lambda: None
        self.calls: list[UUID] = []
        self.init_images: list[Any] = []

    def send(self, call: PreparedCall) -> AbstractContextManager[CallAnswer]:
        """Call for a job."""
        self.calls.append(call.job.id)
        self.init_images.append(call.wire.get("init_image"))
        self.during()
        if self.verdict.meaning is not Meaning.RECEIVED:
            return nullcontext(CallAnswer(self.verdict))
        return nullcontext(CallAnswer(self.verdict, [IMAGE]))


class Earlier:
    """Images of earlier calls: none, or one that finishes any job."""

    def __init__(self, gate: CallGate) -> None:
        self.gate = gate
        self.found = False
        self.fault: Exception | None = None
        self.inside: list[int] = []

    def finish(self, _job: object, *, on_locked: Callable[[], object]) -> bool:
        """Look for one, whose row is locked."""
        if self.fault is not None:
            raise self.fault
        if self.found:
            on_locked()
            self.inside.append(self.gate.inside)
        return self.found


class Uploads:
    """What was queued for the bucket."""

    def __init__(self) -> None:
        self.queued: list[tuple[object, bool]] = []
        self.images: list[Any] = []
        self.keep: Callable[[UUID, int], object] = lambda *_: None

    def spool(self, job_id: UUID, fence: int, _images: object) -> object:
        """Write a call's images to the disk; none if the bucket has them already."""
        return self.keep(job_id, fence)

    def stored(self, _entry: object) -> list[Any]:
        """Return the images to record in the row."""
        return self.images

    def add(self, entry: object, *, is_named: bool = False) -> None:
        """Queue it."""
        self.queued.append((entry, is_named))


class Budget:
    """What the fleet may have open: no limit here."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.on_admit: Callable[[], object] = lambda: None
        self.open = 0
        self.spent: list[bool] = []

    def admit(self) -> Permit | None:
        """Let a call in, unless the process stops."""
        if self.stopping.is_set():
            return None
        self.on_admit()
        self.open += 1
        return Permit(self._on_end)

    def _on_end(self, is_spent: bool) -> None:  # noqa: FBT001 - as an admission calls it
        self.open -= 1
        self.spent.append(is_spent)


class Harness:
    """One worker's course of a job, with its parts at hand."""

    def __init__(self, database: Database, root: Path, *, calls_a_day: int | None = None) -> None:
        self.database = database
        self.worker: WorkerUnderTest = worker_of(database, failures=99, blocked=99)
        self.gate = self.worker.gate
        self.spool = Spool(root, max_bytes=10**8, fsync=False)
        self.stopping, self.budget = threading.Event(), Budget()
        self.objects, self.call, self.earlier = Objects(), Call(), Earlier(self.gate)
        self.uploads, self.open_claims = Uploads(), OpenClaims()
        self.back: list[UUID] = []
        policy = RetryPolicy(
            max_attempts=3,
            max_useless_calls=1,
            max_unknown_calls=1,
            backoff_base_s=0.0,
            backoff_max_s=0.0,
            hold_s=0.0,
        )
        failures = RecordFailure(
            database,
            policy=policy,
            gate=self.gate,
            breaker=self.worker.breaker,
            fleet=self.worker.watch,
        )
        dispatch: Any = self
        budget: Any = self.budget
        earlier: Any = self.earlier
        uploads: Any = self.uploads
        api: Any = self.call
        self.run = RunJob(
            space=SpoolSpace(
                self.spool, stopping=self.stopping, on_full=self.worker.storage.spool_is_full
            ),
            control=CallControl(self.gate, budget, self.worker.breaker),
            claims=ClaimJob(
                database,
                dispatch,
                ClaimSettings(self.worker.id, 60.0, 3, calls_a_day),
                gate=self.gate,
                fleet=self.worker.watch,
                open_claims=self.open_claims,
            ),
            prepare=PrepareCall(self.objects, earlier, failures),
            api=api,
            images=KeepImages(database, uploads, worker_id=self.worker.id),
            failures=failures,
        ).run

    def hand_back(self, job_ids: list[UUID]) -> None:
        """Make jobs due again."""
        self.back += job_ids
        unreserve(self.database, job_ids)

    def job(self, **changes: Any) -> UUID:
        """A job that was dispatched."""
        request = {"prompt": "a fox", "seed": 7}
        values: dict[str, Any] = {"id": uuid7(), "request": request, "request_hash": "0" * 64}
        return insert_job(self.database, NewJob(**{**values, **changes})).job.id

    def assert_nothing_is_held(self) -> None:
        """No place of a call, no space for a picture, no open claim."""
        assert (self.gate.inside, self.budget.open) == (0, 0)
        assert self.spool.reserved_bytes == 0
        assert self.open_claims.all() == set()


@pytest.fixture
def harness(database: Database, tmp_path: Path) -> Iterator[Harness]:
    """A course whose call fails, of a worker that pauses for nothing."""
    harness = Harness(database, tmp_path / "spool")
    yield harness
    harness.assert_nothing_is_held()
    harness.spool.close()


def test_a_job_is_called_for_with_its_initial_image(harness: Harness) -> None:
    """The row has its key alone; a job without one gets none."""
    harness.run(harness.job(request=WITH_IMAGE, init_image_key="init/ab"))
    harness.run(harness.job())
    assert harness.call.init_images == [b64encode(PNG).decode(), None]


def test_while_a_call_is_under_way_its_claim_is_open_and_its_place_taken(harness: Harness) -> None:
    """So that no process takes its row for one without an owner, and no call too many starts."""
    seen: list[object] = []
    job_id, before = harness.job(), database_time(harness.database)

    def note_state() -> None:
        row = get_job(harness.database, job_id)
        seen.append((row.status, row.worker_id, row.calls_made))
        seen.append(harness.open_claims.all())
        seen.append((harness.gate.inside, harness.spool.reserved_bytes > 0))
        deadline = row.call_deadline
        seen.append(deadline is not None and deadline >= before + timedelta(seconds=60))

    harness.call.during = note_state
    harness.run(job_id)
    assert seen == [
        (JobStatus.RUNNING, harness.worker.id, 1),
        {(job_id, 1)},
        (1, True),
        True,
    ]
    row = get_job(harness.database, job_id)
    assert (row.status, row.calls_made) == (JobStatus.QUEUED, 0)
    assert row.error == JobError("HTTP_500", "down", "api")


def test_a_call_that_breaks_off_leaves_nothing_held(harness: Harness) -> None:
    """The fault is logged by the executor; the next job finds a place and space."""

    def fail() -> None:
        raise ZeroDivisionError("never heard of")

    harness.call.during = fail
    with pytest.raises(ZeroDivisionError):
        harness.run(harness.job())


def test_a_worker_that_turns_jobs_away_claims_none(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own calls fail: others may have them, at once and not when its disk has room."""
    harness.gate.shut(hand_back=True)
    while harness.spool.reserve(4_000_000):
        pass

    def wait(_: float) -> bool:
        raise AssertionError("it waits for room")

    monkeypatch.setattr(harness.stopping, "wait", wait)
    job_id = harness.job()
    harness.run(job_id)
    assert (harness.back, harness.call.calls) == ([job_id], [])
    assert get_job(harness.database, job_id).status is JobStatus.QUEUED
    harness.spool.release(harness.spool.reserved_bytes)


def test_a_worker_whose_disk_stays_full_pauses_the_fleet(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that could not be kept is not paid for."""
    monkeypatch.setattr("tasks.storing.spool_space.CHECKS_BEFORE_ALARM", 1)
    while harness.spool.reserve(4_000_000):
        pass
    waits = iter([False, True])
    monkeypatch.setattr(harness.stopping, "wait", lambda _: next(waits))
    job_id = harness.job()
    harness.run(job_id)
    pause = fleet_state(harness.database).pause
    assert pause is not None
    assert (pause.kind, harness.back) == (PauseKind.STORAGE, [job_id])
    harness.spool.release(harness.spool.reserved_bytes)


@pytest.mark.parametrize("how", ["gate", "budget", "space"])
def test_a_worker_that_stops_hands_back_what_has_not_started(harness: Harness, how: str) -> None:
    """Wherever it waits: for a call slot, for the fleet's budget, for space on the disk."""
    if how == "gate":
        harness.gate.stop()
    elif how == "budget":
        harness.budget.stopping.set()
    else:
        while harness.spool.reserve(4_000_000):
            pass
        harness.stopping.set()
    job_id = harness.job()
    harness.run(job_id)
    assert (harness.back, harness.call.calls) == ([job_id], [])
    assert get_job(harness.database, job_id).calls_made == 0
    harness.spool.release(harness.spool.reserved_bytes)


def test_a_job_that_is_not_due_is_left_alone(harness: Harness) -> None:
    """Another worker has it, or it waits: its message came twice."""
    harness.run(uuid4())
    held = harness.job()
    claim(harness, held)
    before = get_job(harness.database, held)
    harness.run(held)
    assert get_job(harness.database, held) == before
    assert (harness.back, harness.call.calls) == ([], [])


def test_the_call_that_is_one_too_many_for_the_day_pauses_the_fleet(
    database: Database, tmp_path: Path
) -> None:
    """The job goes back uncounted, and no other is claimed until the next day."""
    harness = Harness(database, tmp_path / "spool", calls_a_day=1)
    first, second = harness.job(), harness.job()
    harness.run(first)
    harness.run(second)
    assert (harness.call.calls, harness.back) == ([first], [second])
    pause = fleet_state(database).pause
    assert pause is not None
    assert (pause.kind, calls_today(database)) == (PauseKind.BUDGET, 1)
    row = get_job(database, second)
    assert (row.status, row.calls_made, row.attempts) == (JobStatus.QUEUED, 0, 0)
    harness.assert_nothing_is_held()
    harness.spool.close()


def test_a_job_whose_row_is_locked_goes_out_again_later(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread, place and space are for other jobs meanwhile."""

    def locked(*_: object, **__: object) -> None:
        raise RowLocked("a row is locked")

    monkeypatch.setattr("tasks.execution.claim_job.claim_if_due", locked)
    job_id = harness.job()
    harness.run(job_id)
    assert (harness.back, harness.call.calls) == ([job_id], [])


def test_a_claim_whose_answer_was_lost_is_made_once(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is repeated with its token, and the call counted once."""
    monkeypatch.setattr("tasks.db_retry.FIRST_WAIT_S", 0.001, raising=False)
    losses = iter([True])

    def claim_and_lose(*args: Any, **how: Any) -> object:
        claimed = claim_if_due(*args, **how)
        for _ in losses:
            raise DatabaseUnavailable("the answer was lost")
        return claimed

    monkeypatch.setattr("tasks.execution.claim_job.claim_if_due", claim_and_lose)
    harness.call.verdict = Verdict(Meaning.USELESS, "NO_IMAGE", "")
    job_id = harness.job()
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (harness.call.calls, row.calls_made, row.fence) == ([job_id], 1, 1)


def test_a_claim_that_took_longer_than_the_lease_is_given_back_uncalled(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job may be another worker's by now; nothing was sent, so nothing is counted."""
    monkeypatch.setattr("tasks.execution.claim_job.claim_if_due", claiming_slowly(harness))
    job_id = harness.job()
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, row.calls_made, row.attempts) == (JobStatus.QUEUED, 0, 0)
    assert harness.call.calls == []


def claiming_slowly(harness: Harness) -> Callable[..., object]:
    """A claim that takes longer than the lease."""

    def claim_slowly(*args: Any, **how: Any) -> object:
        claimed = claim_if_due(*args, **how)
        harness.gate.alive_for(-1.0)
        return claimed

    return claim_slowly


def test_a_job_whose_image_was_stored_before_is_not_called_again(harness: Harness) -> None:
    """It was paid for already; while its row is locked another call may start."""
    harness.earlier.found = True
    harness.run(harness.job())
    assert harness.call.calls == []
    assert harness.earlier.inside == [0]


def test_a_request_that_cannot_be_sent_fails_its_job_uncalled(harness: Harness) -> None:
    """Trying again would not help."""
    job_id = harness.job(request={"prompt": "a fox", "steps": "many"})
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, row.calls_made, harness.call.calls) == (JobStatus.FAILED, 0, [])
    assert row.error is not None
    assert row.error.code == EndCode.ROW_UNREADABLE


def test_a_job_whose_initial_image_is_gone_fails_uncalled(harness: Harness) -> None:
    """Without it the picture would be another, and paid for."""
    harness.objects.fault = ObjectMissing("init/ab")
    job_id = harness.job(request=WITH_IMAGE, init_image_key="init/ab")
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, row.calls_made, harness.call.calls) == (JobStatus.FAILED, 0, [])
    assert row.error is not None
    assert (row.error.code, row.error.whose) == (INIT_IMAGE_MISSING, "storage")


def test_a_job_is_put_off_while_storage_cannot_be_asked(harness: Harness) -> None:
    """Its attempt and call come back; it is due again in a few seconds and not at once."""
    harness.objects.fault = ObjectStoreUnavailable("away")
    job_id = harness.job(request=WITH_IMAGE, init_image_key="init/ab")
    before = database_time(harness.database)
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, row.calls_made, row.attempts) == (JobStatus.QUEUED, 0, 0)
    assert row.error is not None
    assert row.not_before is not None
    assert (row.error.code, row.error.whose) == (STORAGE_AWAY, "storage")
    assert row.not_before >= before + timedelta(seconds=STORAGE_AWAY_S)
    assert harness.call.calls == []


def receive_image(harness: Harness, job_id: UUID) -> None:
    """Let the call bring a picture."""
    harness.call.verdict = IMAGE_RECEIVED

    def keep(_: UUID, fence: int) -> object:
        entry = harness.spool.write(job_id, fence, [IMAGE])
        image = entry.images[0]
        sizes = (image.size_bytes, image.width, image.height)
        harness.uploads.images = [StoredImage(0, f"x/{job_id}", image.sha256, *sizes)]
        assert harness.gate.inside == 0, "its place is free as soon as the image is in hand"
        return entry

    harness.uploads.keep = keep


def test_a_picture_is_named_by_the_row_and_queued_for_the_bucket_once(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """A success ends a row of failures, whatever the bucket does."""
    job_id = harness.job()
    receive_image(harness, job_id)
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, list(row.images)) == (JobStatus.STORING, harness.uploads.images)
    assert [named for _, named in harness.uploads.queued] == [True]
    assert "no longer held" not in caplog.text
    assert harness.worker.pause.report().succeeded_s is not None


def test_a_picture_in_hand_makes_its_worker_the_holder_of_the_row(harness: Harness) -> None:
    """A failover gave its fence to another worker as well, whose call is under way."""
    job_id, jobs = harness.job(), harness.database.tables.jobs
    receive_image(harness, job_id)

    def give_to_another() -> None:
        with harness.database.begin() as connection:
            connection.execute(jobs.update().values(worker_id=uuid4()))

    harness.call.during = give_to_another
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, row.worker_id) == (JobStatus.STORING, harness.worker.id)


def test_a_call_that_was_sent_before_a_pause_does_not_lift_it(harness: Harness) -> None:
    """It proves nothing about the API now, however late its picture came."""
    job_id = harness.job()
    receive_image(harness, job_id)

    def pause() -> None:
        pause_fleet(harness.database, PauseKind.BREAKER, code="HTTP_500", message="down")
        harness.worker.watch.sync()

    harness.call.during = pause
    harness.run(job_id)
    assert get_job(harness.database, job_id).status is JobStatus.STORING
    assert fleet_state(harness.database).pause is not None


def test_an_attempt_counts_that_fails_while_a_call_sent_after_it_succeeds(harness: Harness) -> None:
    """While none succeeds, a failure says nothing about the job."""
    job_id = harness.job()
    harness.call.during = harness.worker.succeeds
    harness.run(job_id)
    row = get_job(harness.database, job_id)
    assert (row.status, row.attempts) == (JobStatus.QUEUED, 1)


@pytest.mark.parametrize(
    ("end", "write"),
    [
        ("a failed call", "tasks.execution.record_failure.retry_later_if_held"),
        ("a bad request", "tasks.execution.record_failure.fail_if_held"),
        ("storage away", "tasks.execution.record_failure.retry_later_if_held"),
        ("a late claim", "tasks.execution.claim_job.hand_back_if_held"),
    ],
)
def test_the_place_of_a_call_is_free_while_the_end_of_its_job_waits_for_a_lock(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, end: str, write: str
) -> None:
    """Whichever way it ends: another call may start meanwhile."""
    written, inside = resolve_name(write), list[int]()

    def locked_once(*args: Any, **how: Any) -> object:
        inside.append(harness.gate.inside)
        if len(inside) == 1:
            raise RowLocked("locked")
        return written(*args, **how)

    monkeypatch.setattr(write, locked_once)
    if end == "storage away":
        harness.earlier.fault = ObjectStoreUnavailable("away")
    if end == "a late claim":
        monkeypatch.setattr("tasks.execution.claim_job.claim_if_due", claiming_slowly(harness))
    request = {"prompt": "a fox", "steps": "many"} if end == "a bad request" else {"prompt": "a"}
    job_id = harness.job(request=request)
    harness.run(job_id)
    assert inside == [1, 0]
    assert get_job(harness.database, job_id).worker_id is None


def test_a_picture_for_a_job_that_was_taken_away_is_queued_all_the_same(harness: Harness) -> None:
    """It is paid for: the upload finds out who may have it."""
    job_id = harness.job()
    receive_image(harness, job_id)

    def take_away() -> None:
        error = JobError("X", "", "api")
        assert retry_later_if_held(
            harness.database,
            job_id,
            fence=1,
            delay_s=60,
            outcome=CallOutcome(error, counted_as=CallCount.UNKNOWN),
        )

    harness.call.during = take_away
    harness.run(job_id)
    assert get_job(harness.database, job_id).status is JobStatus.QUEUED
    assert [named for _, named in harness.uploads.queued] == [False]


def test_a_picture_that_the_bucket_has_already_is_not_queued(harness: Harness) -> None:
    """The disk was full, and it was put from memory."""
    harness.call.verdict = IMAGE_RECEIVED
    harness.run(harness.job())
    assert harness.uploads.queued == []


def claim(harness: Harness, job_id: UUID) -> None:
    """Another worker's claim."""
    assert claim_if_due(
        harness.database,
        job_id,
        worker_id=uuid4(),
        token=uuid4(),
        call_deadline_s=60,
        max_calls=3,
    )


@pytest.mark.parametrize("is_due", [True, False])
def test_a_probes_course_ends_with_its_call(harness: Harness, *, is_due: bool) -> None:
    """Where its job is the only one that is due, or where none is: it waits for no second probe."""
    allow_probe(harness)
    job_id = harness.job()
    if not is_due:
        claim(harness, job_id)
    thread = threading.Thread(target=harness.run, args=(job_id,), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert harness.call.calls == ([job_id] if is_due else [])


def test_a_table_that_cannot_choose_a_probe_leaves_it_to_the_job_at_hand(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe that was given must not be lost."""

    def away(*_: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr("tasks.execution.claim_job.due_job_with_fewest_calls", away)
    allow_probe(harness)
    job_id = harness.job()
    harness.run(job_id)
    assert harness.call.calls == [job_id]


def test_a_call_that_is_sent_is_spent_of_the_fleets_budget_and_no_other(harness: Harness) -> None:
    """An admission without a call goes to another job that waits."""
    harness.run(harness.job())
    harness.run(uuid4())
    assert harness.budget.spent == [True, False]


def test_a_pause_that_begins_while_the_budget_is_waited_for_stops_the_call(
    harness: Harness,
) -> None:
    """The gate is read again, as it may have been a long wait."""
    harness.budget.on_admit = lambda: harness.gate.shut(hand_back=True)
    job_id = harness.job()
    harness.run(job_id)
    assert (harness.call.calls, harness.back, harness.budget.spent) == ([], [job_id], [False])


def test_a_probe_whose_job_is_locked_goes_to_the_job_at_hand(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe that was given must not be lost."""
    tried, fresh = harness.job(), harness.job()
    with harness.database.begin() as connection:
        jobs = harness.database.tables.jobs
        made = {"calls_made": 1, "calls_unknown": 1}
        connection.execute(jobs.update().where(jobs.c.id == tried).values(made))

    def claim_unless_locked(database: Database, job_id: UUID, **how: Any) -> object:
        if job_id == fresh:
            raise RowLocked("a row is locked")
        return claim_if_due(database, job_id, **how)

    monkeypatch.setattr("tasks.execution.claim_job.claim_if_due", claim_unless_locked)
    allow_probe(harness)
    thread = threading.Thread(target=harness.run, args=(tried,), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert (harness.call.calls, harness.back) == ([tried], [fresh])


def allow_probe(harness: Harness) -> None:
    """Pause the fleet, and let this worker have the probe."""
    pause_fleet(harness.database, PauseKind.BREAKER, code="HTTP_500", message="down")
    harness.worker.watch.sync()
    harness.gate.allow_probe()

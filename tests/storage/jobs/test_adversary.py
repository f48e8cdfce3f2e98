"""A state machine in which everything that can go wrong does, in every order.

Workers die and wake, answers are lost, old writes arrive late, images turn up in spools,
people cancel, retry and forget. After each step the rows are compared with a ledger of what was
really done: no arrow is taken that the drawing does not have, no stale hand changes anything, and
every call that was made is accounted for exactly once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from storage.db.database import Database
from storage.errors import JobForgotten
from storage.fleet.leases import WorkerInfo, register_worker
from storage.intake.insert import insert_job
from storage.jobs.adopt import adopt_image
from storage.jobs.cancel import ask_cancel, retry_ended
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.jobs.release import fail_if_held, hand_back_if_held, retry_later_if_held
from storage.jobs.requeue_missing_images import requeue_lost
from storage.jobs.rescue import rescue_dead
from storage.queries.get import get_job, get_jobs
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import CallCount, EndCode, JobStatus
from storage.retention.delete import forget_jobs
from tests.storage.table import new_job, picture

PAGE = (Path(__file__).parents[3] / "docs" / "states.md").read_text(encoding="utf-8")
ARROWS = set(re.findall(r"^\| (\w+) \| (\w+) \|", PAGE, re.MULTILINE)) - {("from", "to")}

MAX_CALLS = 2
FAULT = JobError("HTTP_500", "the API stumbled", "api")
UNKNOWN = JobError(EndCode.OUTCOME_UNKNOWN, "no answer came", "api")
LOST = JobError("IMAGE_LOST", "the object is missing", "storage")
HELD = {JobStatus.RUNNING, JobStatus.STORING}


STORIES = {
    "all goes well": ("claim", "in hand", "finish"),
    "at once": ("claim", "finish"),
    "cancelled before": ("cancel", "retry"),
    "cancelled in time": ("claim", "cancel", "useless", "retry"),
    "cancelled too late": ("claim", "in hand", "cancel", "finish", "retry"),
    "found after giving up": ("claim", "unknown", "adopt"),
    "found while called": ("claim", "adopt"),
    "found while storing": ("claim", "in hand", "adopt"),
    "found while waiting": ("claim", "useless", "adopt"),
    "killed": ("claim, then die", "rescue"),
    "killed twice": ("claim, then die", "rescue", "claim, then die", "rescue", "retry"),
    "killed in hand": ("claim, then die", "in hand", "rescue"),
    "gone from the bucket": ("claim", "finish", "object lost", "claim", "finish"),
    "lost": ("claim", "in hand", "lose"),
    "lost for good": ("claim", "in hand", "lose for good", "retry"),
    "spent": ("claim", "useless", "claim", "useless", "claim"),
}
"""What jobs live through, undisturbed."""


@dataclass
class Hold:
    """A worker's belief that it holds a job."""

    job_id: UUID
    fence: int


@dataclass
class Ledger:
    """What was really done for one job."""

    plain: int = 0  # calls that ended without image, count or refund
    feared: set[int] = field(default_factory=set)  # fences counted as unknown, useless or lost
    images: set[int] = field(default_factory=set)  # fences whose image was ever in hand
    orphans: int = 0  # images of cancelled jobs that were retried by hand


class Adversary(RuleBasedStateMachine):
    """Drives the transitions of a few jobs."""

    db: Database
    taken: ClassVar[set[tuple[str, str]]]

    def __init__(self) -> None:
        super().__init__()
        with self.db.begin() as connection:
            connection.execute(self.db.tables.jobs.delete())
            connection.execute(self.db.tables.workers.delete())
        self.alive, self.dead = uuid4(), uuid4()
        register_worker(self.db, WorkerInfo(self.alive, "h", 1, "0", 1, 600.0))
        self.ledgers: dict[UUID, Ledger] = {}
        self.holds: list[Hold] = []
        self.seen: dict[UUID, Job] = {}
        self.replays: list[Callable[[], object]] = []
        self.ghosts: list[Hold] = []
        for _ in range(2):
            self._new_job()

    jobs = st.integers(0, 1)
    twice = st.booleans()
    holds_at = st.integers(0, 50)

    def _new_job(self) -> None:
        job_id = insert_job(self.db, new_job()).job.id
        self.ledgers[job_id] = Ledger()
        self.seen[job_id] = get_job(self.db, job_id)

    def _job(self, number: int) -> UUID:
        return list(self.ledgers)[number]

    def _by(self, number: int, *states: JobStatus) -> tuple[Hold, bool]:
        """A hold, and whether it is real: not taken away, and in one of these states."""
        rows = {row.id: row for row in self._rows()}
        real = [h for h in self.holds if _is_real(h, rows[h.job_id])]
        # Most writes come from real holders, or few stories would get anywhere.
        among = real if real and number % 4 else self.holds
        hold = among[number // 4 % len(among)]
        row = rows[hold.job_id]
        return hold, _is_real(hold, row) and row.status in states

    def _write(self, write: Callable[[], bool], *, real: bool, twice: bool, hold: Hold) -> None:
        """A holder's write, perhaps sent again after a lost answer; unreal ones do nothing."""
        before = get_job(self.db, hold.job_id)
        answer = write()
        if real:
            assert answer
            self.replays.append(write)
        if twice:
            assert write() is answer
        if not real:
            assert get_job(self.db, hold.job_id) == before

    @rule(job=jobs, on_dead=st.booleans(), twice=twice)
    def claim(self, job: int, on_dead: bool, twice: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """Deliver a dispatch message."""
        job_id, token = self._job(job), uuid4()

        def send() -> Job | None:
            return claim_if_due(
                self.db,
                job_id,
                worker_id=self.dead if on_dead else self.alive,
                token=token,
                call_deadline_s=60,
                max_calls=MAX_CALLS,
            )

        claimed = send()
        if twice:
            assert send() == claimed
        if claimed is not None:
            self.holds.append(Hold(job_id, claimed.fence))

    @precondition(lambda self: self.holds)
    @rule(number=holds_at, twice=twice)
    def in_hand(self, number: int, twice: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """The answer is an image."""
        hold, real = self._by(number, *HELD)
        images = picture(hold.job_id, hold.fence)
        if real:
            self.ledgers[hold.job_id].images.add(hold.fence)
        self._write(
            lambda: mark_storing_if_held(self.db, hold.job_id, fence=hold.fence, images=images),
            real=real,
            twice=twice,
            hold=hold,
        )

    @precondition(lambda self: self.holds)
    @rule(number=holds_at, twice=twice)
    def finish(self, number: int, twice: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """The image is in the bucket."""
        hold, real = self._by(number, *HELD)
        images = picture(hold.job_id, hold.fence)
        if real:
            self.ledgers[hold.job_id].images.add(hold.fence)
        self._write(
            lambda: finish_if_held(self.db, hold.job_id, fence=hold.fence, images=images),
            real=real,
            twice=twice,
            hold=hold,
        )

    @precondition(lambda self: self.holds)
    @rule(
        number=holds_at,
        twice=twice,
        counted=st.sampled_from([None, "back", CallCount.UNKNOWN, CallCount.USELESS]),
        for_good=st.booleans(),
    )
    def no_image(
        self,
        number: int,
        twice: bool,  # noqa: FBT001 - a Hypothesis rule
        counted: CallCount | str | None,
        for_good: bool,  # noqa: FBT001 - a Hypothesis rule
    ) -> None:
        """The call ended without an image."""
        hold, real = self._by(number, JobStatus.RUNNING)
        back = counted == "back"
        count = counted if isinstance(counted, CallCount) else None
        self._note(hold, count, back=back, real=real)
        error = UNKNOWN if count is CallCount.UNKNOWN else FAULT

        def write() -> bool:
            job_id, fence = hold.job_id, hold.fence
            if for_good:
                return fail_if_held(
                    self.db,
                    job_id,
                    fence=fence,
                    outcome=CallOutcome(error, call_counts=not back, counted_as=count),
                )
            return retry_later_if_held(
                self.db,
                job_id,
                fence=fence,
                delay_s=-1,
                outcome=CallOutcome(
                    error, attempt_counts=not back, call_counts=not back, counted_as=count
                ),
            )

        self._write(write, real=real, twice=twice, hold=hold)

    def _note(self, hold: Hold, count: CallCount | None, *, back: bool, real: bool) -> None:
        ledger = self.ledgers[hold.job_id]
        if real and count is not None:
            ledger.feared.add(hold.fence)
        elif real and not back:
            ledger.plain += 1

    @precondition(lambda self: self.holds)
    @rule(number=holds_at, twice=twice)
    def hand_back(self, number: int, twice: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """Nothing was sent."""
        hold, real = self._by(number, JobStatus.RUNNING)
        self._write(
            lambda: hand_back_if_held(self.db, hold.job_id, fence=hold.fence),
            real=real,
            twice=twice,
            hold=hold,
        )

    @precondition(lambda self: self.holds)
    @rule(number=holds_at, twice=twice, for_good=st.booleans())
    def lose_the_image(self, number: int, twice: bool, for_good: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """The spool file was damaged."""
        hold, real = self._by(number, JobStatus.STORING)
        if not real:
            return
        self.ledgers[hold.job_id].feared.add(hold.fence)

        def write() -> bool:
            job_id, fence, lost = hold.job_id, hold.fence, CallCount.LOST
            if for_good:
                return fail_if_held(
                    self.db, job_id, fence=fence, outcome=CallOutcome(FAULT, counted_as=lost)
                )
            return retry_later_if_held(
                self.db,
                job_id,
                fence=fence,
                delay_s=-1,
                outcome=CallOutcome(FAULT, counted_as=lost),
            )

        self._write(write, real=real, twice=twice, hold=hold)

    @rule(job=jobs, story=st.sampled_from(sorted(STORIES)), twice=twice)
    def a_whole_story(self, job: int, story: str, twice: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """Several steps at once, so that short runs get far; the other rules disturb them."""
        for step in STORIES[story]:
            self._step(step, job, twice=twice)
            self.the_rows_agree_with_the_ledgers()

    def _step(self, step: str, job: int, *, twice: bool) -> None:
        newest = 4 * max(0, len(self.holds) - 1)
        alone: dict[str, Callable[[], None]] = {
            "claim": lambda: self.claim(job, False, twice),  # noqa: FBT003 - a Hypothesis rule
            "claim, then die": lambda: self.claim(job, True, twice),  # noqa: FBT003 - the same
            "cancel": lambda: self.cancel(job),
            "retry": lambda: self.retry(job),
            "rescue": self.rescue,
            "object lost": lambda: self.object_lost(job),
        }
        held: dict[str, Callable[[], None]] = {
            "in hand": lambda: self.in_hand(newest, twice),
            "finish": lambda: self.finish(newest, twice),
            "adopt": lambda: self.adopt(newest // 4, twice),
            "unknown": lambda: self.no_image(newest, twice, CallCount.UNKNOWN, for_good=True),
            "useless": lambda: self.no_image(newest, twice, CallCount.USELESS, for_good=False),
            "lose": lambda: self.lose_the_image(newest, twice, for_good=False),
            "lose for good": lambda: self.lose_the_image(newest, twice, for_good=True),
        }
        if step in alone:
            alone[step]()
        elif self.holds:
            held[step]()

    @rule()
    def rescue(self) -> None:
        """The leader looks for the jobs of dead workers."""
        taken = [j for j in self._rows() if j.status in HELD and j.worker_id == self.dead]
        rescued = rescue_dead(self.db, max_unknown_calls=1, spool_grace_s=-1)
        assert rescued.running + rescued.storing == len(taken)
        for job in taken:
            after = get_job(self.db, job.id)
            lost = job.status is JobStatus.STORING
            assert after.fence == job.fence + 1
            assert after.calls_lost == job.calls_lost + lost
            assert after.calls_unknown == job.calls_unknown + (not lost)
            self.ledgers[job.id].feared.add(job.fence)

    @precondition(lambda self: self.holds)
    @rule(number=holds_at, twice=twice)
    def adopt(self, number: int, twice: bool) -> None:  # noqa: FBT001 - a Hypothesis rule
        """A spool came back with the image of a call made at some fence."""
        hold = self.holds[number % len(self.holds)]
        row, fence = get_job(self.db, hold.job_id), hold.fence
        answer = adopt_image(self.db, row.id, fence=fence, images=picture(row.id, fence))
        if twice:
            assert (
                adopt_image(self.db, row.id, fence=fence, images=picture(row.id, fence)) is answer
            )
        after = get_job(self.db, row.id)
        assert (after.fence > row.fence) or after == row
        if after.fence > row.fence:
            another = row.status in HELD and row.fence != fence
            assert after.calls_duplicate == row.calls_duplicate + another
            self._note_adopted(row, after, fence)

    def _note_adopted(self, row: Job, after: Job, fence: int) -> None:
        ledger = self.ledgers[row.id]
        if fence not in ledger.feared and not (row.status in HELD and row.fence == fence):
            ledger.plain -= 1  # a call noted as plain brought an image after all
        ledger.images.add(fence)
        if after.calls_duplicate > row.calls_duplicate:
            assert row.status in HELD
            ledger.feared.add(row.fence)

    @rule(job=jobs)
    def cancel(self, job: int) -> None:
        """Someone has changed their mind."""
        ask_cancel(self.db, self._job(job))

    @rule(job=jobs)
    def retry(self, job: int) -> None:
        """Someone has changed it back."""
        row = get_job(self.db, self._job(job))
        retried = retry_ended(self.db, [row.id])
        assert bool(retried) == (row.status in {JobStatus.FAILED, JobStatus.CANCELLED})
        if retried and row.images and _fence_of(row) not in self.ledgers[row.id].feared:
            self.ledgers[row.id].orphans += 1

    @rule(job=jobs)
    def object_lost(self, job: int) -> None:
        """The bucket has lost an object, and someone pays for a new image."""
        row = get_job(self.db, self._job(job))
        lost = {image.key for image in row.images}
        queued = requeue_lost(self.db, {row.id: lost}, error=LOST)
        assert bool(queued) == (row.status is JobStatus.SUCCEEDED)
        if queued:
            after = self.seen[row.id] = get_job(self.db, row.id)
            self._note_lost(row, after)
            assert (str(row.status), str(after.status)) in ARROWS
            self.taken.add((str(row.status), str(after.status)))

    def _note_lost(self, row: Job, after: Job) -> None:
        ledger, fence = self.ledgers[row.id], _fence_of(row)
        assert after.calls_lost - row.calls_lost in {0, 1}
        if after.calls_lost == row.calls_lost:
            assert fence in ledger.feared  # it is counted already, as what it was taken for before
        elif fence in ledger.feared:  # a row does not tell which of its calls was counted
            ledger.feared.add(-1 - len(ledger.feared))
            ledger.plain -= 1
        else:
            ledger.feared.add(fence)

    @rule(job=jobs)
    def forget(self, job: int) -> None:
        """Delete a job as its owner would; the next job takes its place here."""
        row = get_job(self.db, self._job(job))
        done = forget_jobs(self.db, [row.id], key_prefix="")
        if row.status in HELD:
            assert (done.forgotten, done.under_way) == ([], [row.id])
            return
        assert done.forgotten == [row.id]
        # Each worker that believes it holds the job, and a message with its id still under way.
        mine = [hold for hold in self.holds if hold.job_id == row.id]
        self.ghosts += mine or [Hold(row.id, row.fence)]
        self.holds = [hold for hold in self.holds if hold.job_id != row.id]
        del self.ledgers[row.id], self.seen[row.id]
        self._new_job()

    @precondition(lambda self: self.ghosts)
    @rule(number=holds_at, late=st.sampled_from(["finish", "adopt", "fail", "message"]))
    def a_ghost_writes(self, number: int, late: str) -> None:
        """A worker, a spool and a message of a forgotten job: nothing brings it back."""
        ghost = self.ghosts[number % len(self.ghosts)]
        job_id, fence = ghost.job_id, ghost.fence
        images = picture(job_id, fence)
        writes: dict[str, Callable[[], bool]] = {
            "finish": lambda: finish_if_held(self.db, job_id, fence=fence, images=images),
            "adopt": lambda: adopt_image(self.db, job_id, fence=fence, images=images),
            "fail": lambda: fail_if_held(self.db, job_id, fence=fence, outcome=CallOutcome(FAULT)),
        }
        if late in writes:
            assert not writes[late]()
        else:
            with pytest.raises(JobForgotten):
                insert_job(self.db, new_job(id=job_id))
        with pytest.raises(JobForgotten):
            get_job(self.db, job_id)

    @precondition(lambda self: self.replays)
    @rule(number=st.integers(0, 100))
    def an_old_write_arrives(self, number: int) -> None:
        """A packet was a day late: whatever it said then, it changes nothing now."""
        before = self._rows()
        self.replays[number % len(self.replays)]()
        assert self._rows() == before

    def _rows(self) -> list[Job]:
        found = {row.id: row for row in get_jobs(self.db, list(self.ledgers))}
        return [found[job_id] for job_id in self.ledgers]

    @invariant()
    def the_rows_agree_with_the_ledgers(self) -> None:
        """Read once for all questions, as reading is most of what a step takes."""
        for row in self._rows():
            self._only_drawn_arrows_are_taken(row)
            self._every_call_is_accounted_for_once(row)

    def _only_drawn_arrows_are_taken(self, row: Job) -> None:
        """And the fence never falls; what has succeeded stays so until its object is lost."""
        old = self.seen[row.id]
        assert row.fence >= old.fence
        if row.status != old.status:
            assert (old.status, row.status) in ARROWS
            self.taken.add((str(old.status), str(row.status)))
        assert old.status is not JobStatus.SUCCEEDED or row == old
        self.seen[row.id] = row

    def _every_call_is_accounted_for_once(self, row: Job) -> None:
        """What was paid is the image, or counted, or known to have come to nothing."""
        ledger = self.ledgers[row.id]
        counted = row.calls_unknown + row.calls_useless + row.calls_lost + row.calls_duplicate
        assert counted == len(ledger.feared)
        if row.status in HELD:
            under_way = 1
        else:
            under_way = int(bool(row.images) and _fence_of(row) not in ledger.feared)
        assert row.calls_made == counted + ledger.plain + ledger.orphans + under_way


def _is_real(hold: Hold, row: Job) -> bool:
    return row.fence == hold.fence and row.status in HELD


def _fence_of(row: Job) -> int:
    found = re.search(r"/(\d+)-0\.png$", row.images[0].key)
    assert found is not None
    return int(found.group(1))


def _machine(db: Database) -> type[Adversary]:
    return type("AdversaryHere", (Adversary,), {"db": db, "taken": set()})


@pytest.mark.parametrize("twice", [False, True])
def test_the_stories_take_every_arrow_that_is_drawn(db: Database, *, twice: bool) -> None:
    """Undisturbed, with and without lost answers; so the machine below leaves nothing out."""
    machine = _machine(db)
    for story in STORIES:
        machine().a_whole_story(0, story, twice)
    assert machine.taken == {arrow for arrow in ARROWS if arrow[0] != "nowhere"}


def test_no_order_of_faults_breaks_the_ledger(db: Database) -> None:
    """The machine above, on each database: few stories here, ten times as many with `deep`."""
    run_state_machine_as_test(
        _machine(db),
        settings=settings(
            max_examples=settings().max_examples // 5,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

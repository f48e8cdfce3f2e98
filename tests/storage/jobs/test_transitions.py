"""The arrows of the drawing, each with its guard and its counts, on both databases."""

import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.db.database import Database
from storage.errors import JobNotFound
from storage.fleet.leases import WorkerInfo, register_worker
from storage.jobs.adopt import adopt_image
from storage.jobs.cancel import CancelOutcome, ask_cancel, cancel_jobs, expire_due, retry_ended
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.jobs.release import fail_if_held, hand_back_if_held, retry_later_if_held
from storage.jobs.rescue import DEADLINE_MARGIN_S, rescue_dead
from storage.records.call_outcome import CallOutcome
from storage.records.job import JobError, StoredImage
from storage.records.states import CallCount, EndCode, JobStatus
from tests.storage.table import FAULT, TableUnderTest, picture

UNKNOWN = JobError(EndCode.OUTCOME_UNKNOWN, "no answer came", "api")


def test_a_claim_counts_the_call_before_it_is_sent(table: TableUnderTest) -> None:
    """Fence, attempt and call rise together, and the row names its worker and deadline."""
    job = table.claimed(table.accept(), call_deadline_s=90)
    assert (job.fence, job.attempts, job.calls_made) == (1, 1, 1)
    assert job.worker_id == table.worker
    assert job.first_call_at is not None
    assert job.call_deadline is not None
    assert 89 < (job.call_deadline - job.first_call_at).total_seconds() < 91


def test_a_claim_repeated_with_its_token_is_the_same_claim(table: TableUnderTest) -> None:
    """A claim whose answer was lost is recognised; another one goes away."""
    job_id, token = table.accept(), uuid4()
    first = table.claim(job_id, token=token)
    assert table.claim(job_id, token=token) == first
    assert table.claim(job_id) is None
    assert table.job(job_id).calls_made == 1


def test_what_is_not_due_cannot_be_claimed(table: TableUnderTest) -> None:
    """Unknown, waiting and ended jobs are left alone."""
    waiting = table.accept()
    table.claimed(waiting)
    assert retry_later_if_held(table.db, waiting, fence=1, delay_s=60, outcome=CallOutcome(FAULT))
    ended = table.finished(table.accept()).id
    assert [table.claim(i) for i in (uuid4(), waiting, ended)] == [None, None, None]


def test_a_job_at_its_call_limit_fails(table: TableUnderTest) -> None:
    """The claim that would be one call too many ends the job instead."""
    job_id = table.accept()
    for fence in (1, 2):
        table.claimed(job_id, max_calls=2)
        assert retry_later_if_held(
            table.db, job_id, fence=fence, delay_s=-1, outcome=CallOutcome(FAULT)
        )
    assert table.claim(job_id, max_calls=2) is None
    job = table.job(job_id)
    assert job.error is not None
    assert (job.status, job.error.code) == (JobStatus.FAILED, EndCode.CALLS_EXHAUSTED)


def test_a_job_goes_all_the_way(table: TableUnderTest) -> None:
    """Queued, running, storing, succeeded, each step once and repeatable."""
    job = table.in_hand(table.accept())
    assert (job.status, job.call_deadline) == (JobStatus.STORING, None)
    assert mark_storing_if_held(table.db, job.id, fence=1, images=table.image(job))
    assert finish_if_held(table.db, job.id, fence=1, images=table.image(job))
    assert finish_if_held(table.db, job.id, fence=1, images=table.image(job))
    done = table.job(job.id)
    assert (done.status, done.error) == (JobStatus.SUCCEEDED, None)
    assert list(done.images) == table.image(job)


def test_a_job_without_images_cannot_be_in_hand(table: TableUnderTest) -> None:
    """An answer without a picture is no success."""
    job = table.claimed(table.accept())
    with pytest.raises(ValueError, match="no images"):
        mark_storing_if_held(table.db, job.id, fence=1, images=[])


def test_a_stale_holder_changes_nothing(table: TableUnderTest) -> None:
    """Every write of a holder whose job was taken from it finds nothing to do."""
    job = table.claimed(table.accept())
    rescue_dead(table.db, max_unknown_calls=5, spool_grace_s=0)
    before = table.claimed(job.id)
    stale = picture(job.id, 1)
    assert not mark_storing_if_held(table.db, job.id, fence=1, images=stale)
    assert not finish_if_held(table.db, job.id, fence=1, images=stale)
    assert not retry_later_if_held(table.db, job.id, fence=1, delay_s=0, outcome=CallOutcome(FAULT))
    assert not fail_if_held(table.db, job.id, fence=1, outcome=CallOutcome(FAULT))
    assert not hand_back_if_held(table.db, job.id, fence=1)
    assert table.job(job.id) == before


def test_later_again_keeps_or_gives_back_what_the_call_was_worth(table: TableUnderTest) -> None:
    """Attempt and call are given back apart from each other, and what was paid is counted."""
    job_id = table.accept()
    db = table.db
    table.claimed(job_id)
    assert retry_later_if_held(
        db,
        job_id,
        fence=1,
        delay_s=-1,
        outcome=CallOutcome(FAULT, attempt_counts=False, call_counts=False),
    )
    job = table.job(job_id)
    assert (job.attempts, job.calls_made, job.first_call_at) == (0, 0, None)
    for fence, counted in ((2, CallCount.UNKNOWN), (3, CallCount.USELESS)):
        table.claimed(job_id)
        assert retry_later_if_held(
            db, job_id, fence=fence, delay_s=-1, outcome=CallOutcome(FAULT, counted_as=counted)
        )
    job = table.job(job_id)
    assert (job.attempts, job.calls_made, job.calls_unknown, job.calls_useless) == (2, 2, 1, 1)
    assert job.error == FAULT


def test_an_attempt_is_given_back_while_its_call_stays_counted(table: TableUnderTest) -> None:
    """The call may be paid, and said nothing about the job; its limit on calls holds."""
    job_id = table.accept()
    for fence in (1, 2, 3):
        table.claimed(job_id)
        assert retry_later_if_held(
            table.db,
            job_id,
            fence=fence,
            delay_s=-1,
            outcome=CallOutcome(FAULT, attempt_counts=False, counted_as=CallCount.UNKNOWN),
        )
    job = table.job(job_id)
    assert (job.attempts, job.calls_made, job.calls_unknown) == (0, 3, 3)
    assert table.claim(job_id) is None
    job = table.job(job_id)
    assert (job.status, job.error and job.error.code) == (JobStatus.FAILED, "CALLS_EXHAUSTED")


def test_a_call_cannot_be_counted_and_given_back(table: TableUnderTest) -> None:
    """The two contradict each other."""
    job = table.claimed(table.accept())
    with pytest.raises(ValueError, match="both"):
        fail_if_held(
            table.db,
            job.id,
            fence=1,
            outcome=CallOutcome(FAULT, call_counts=False, counted_as=CallCount.USELESS),
        )


def test_letting_go_is_recognised_when_repeated(table: TableUnderTest) -> None:
    """A commit whose answer was lost counts once."""
    jobs = [table.claimed(table.accept()) for _ in range(3)]
    for _ in range(2):
        assert retry_later_if_held(
            table.db, jobs[0].id, fence=1, delay_s=0, outcome=CallOutcome(FAULT)
        )
        assert fail_if_held(
            table.db, jobs[1].id, fence=1, outcome=CallOutcome(FAULT, counted_as=CallCount.USELESS)
        )
        assert hand_back_if_held(table.db, jobs[2].id, fence=1)
    assert table.job(jobs[1].id).calls_useless == 1
    assert table.job(jobs[2].id).calls_made == 0


def test_an_image_in_hand_is_let_go_only_when_lost(table: TableUnderTest) -> None:
    """Storing is left backwards with a lost image, and in no other way."""
    job = table.in_hand(table.accept())
    assert not retry_later_if_held(table.db, job.id, fence=1, delay_s=0, outcome=CallOutcome(FAULT))
    assert not fail_if_held(table.db, job.id, fence=1, outcome=CallOutcome(FAULT))
    assert retry_later_if_held(
        table.db, job.id, fence=1, delay_s=0, outcome=CallOutcome(FAULT, counted_as=CallCount.LOST)
    )
    again = table.job(job.id)
    assert (again.status, again.images, again.calls_lost) == (JobStatus.QUEUED, (), 1)


def test_cancel_stops_a_queued_job_at_once(table: TableUnderTest) -> None:
    """And says so again when repeated."""
    job_id = table.accept()
    assert ask_cancel(table.db, job_id) is CancelOutcome.CANCELLED
    assert ask_cancel(table.db, job_id) is CancelOutcome.ENDED_ALREADY
    assert table.claim(job_id) is None
    with pytest.raises(JobNotFound):
        ask_cancel(table.db, uuid4())


def test_cancel_marks_a_held_job_which_then_stops(table: TableUnderTest) -> None:
    """Whatever way its holder lets go of it, it ends as cancelled, not queued."""
    ids = [table.accept() for _ in range(2)]
    for job_id in ids:
        table.claimed(job_id)
        assert ask_cancel(table.db, job_id) is CancelOutcome.ASKED
    assert retry_later_if_held(table.db, ids[0], fence=1, delay_s=5, outcome=CallOutcome(FAULT))
    assert hand_back_if_held(table.db, ids[1], fence=1)
    assert [table.status(i) for i in ids] == [JobStatus.CANCELLED] * 2


def test_a_cancelled_job_keeps_an_image_already_paid_for(table: TableUnderTest) -> None:
    """The picture came after all: cancelled, with its key."""
    job = table.in_hand(table.accept())
    assert ask_cancel(table.db, job.id) is CancelOutcome.ASKED
    assert finish_if_held(table.db, job.id, fence=1, images=table.image(job))
    ended = table.job(job.id)
    assert (ended.status, len(ended.images)) == (JobStatus.CANCELLED, 1)


def test_many_are_cancelled_with_counts(table: TableUnderTest) -> None:
    """Bulk cancel tells what it did to how many."""
    queued, running, ended = table.accept(), table.accept(), table.accept()
    table.claimed(running)
    table.finished(ended)
    done = cancel_jobs(table.db, [queued, running, ended, uuid4()])
    assert (done.cancelled, done.asked, done.untouched) == (1, 1, 2)


def test_a_job_not_started_in_time_expires(table: TableUnderTest) -> None:
    """The leader's sweep cancels it, and so does a claim that comes too late."""
    ids = [table.accept(expires_in_s=-1.0) for _ in range(2)]
    patient, started = table.accept(expires_in_s=60.0), table.accept(expires_in_s=60.0)
    assert table.claim(ids[0]) is None
    table.claimed(started)
    assert retry_later_if_held(table.db, started, fence=1, delay_s=-1, outcome=CallOutcome(FAULT))
    table.overwrite(started, expires_at=table.job(started).accepted_at)
    assert expire_due(table.db) == 1
    codes = [(e := table.job(i).error) and e.code for i in ids]
    assert codes == [EndCode.EXPIRED] * 2
    assert {table.status(patient), table.status(started)} == {JobStatus.QUEUED}
    assert table.claim(started) is not None


def test_a_job_retried_by_hand_after_it_expired_does_not_expire_again(
    table: TableUnderTest,
) -> None:
    """Who retries it wants it late: neither the leader's sweep nor a claim ends it any more."""
    swept, claimed = (table.accept(expires_in_s=-1.0) for _ in range(2))
    assert expire_due(table.db) == 2
    assert set(retry_ended(table.db, [swept, claimed])) == {swept, claimed}
    assert table.claim(claimed) is not None
    assert expire_due(table.db) == 0
    assert table.status(swept) is JobStatus.QUEUED
    assert table.job(swept).expires_at is None


def test_a_failed_or_cancelled_job_is_retried_by_hand(table: TableUnderTest) -> None:
    """Its limit on calls begins anew; what it has cost stays counted."""
    failed, cancelled, done = table.accept(), table.accept(), table.accept()
    table.claimed(failed)
    fail_if_held(
        table.db, failed, fence=1, outcome=CallOutcome(FAULT, counted_as=CallCount.USELESS)
    )
    ask_cancel(table.db, cancelled)
    table.finished(done)
    assert set(retry_ended(table.db, [failed, cancelled, done])) == {failed, cancelled}
    job = table.claimed(failed, max_calls=1)
    assert (job.calls_made, job.calls_useless, job.attempts) == (2, 1, 1)
    assert table.claim(cancelled) is not None


def test_a_running_job_of_a_dead_worker_costs_one_unknown_call(table: TableUnderTest) -> None:
    """Rescued while the limit allows it, failed as of unknown outcome beyond."""
    job_id = table.accept()
    register_worker(table.db, WorkerInfo(uuid4(), "another", 2, "0", 4, 60.0))
    table.alive()
    table.claimed(job_id)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0).running == 0
    table.alive(lease_s=-1)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0).queued == 1
    job = table.claimed(job_id)
    assert (job.fence, job.calls_unknown) == (3, 1)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0).failed == 1
    ended = table.job(job_id)
    assert ended.error is not None
    assert (ended.error.code, ended.calls_unknown) == (EndCode.OUTCOME_UNKNOWN, 2)


def test_a_call_past_its_deadline_is_rescued_from_a_living_worker(table: TableUnderTest) -> None:
    """A worker that lives but lost track of a call does not keep its job indefinitely."""
    table.alive()
    late = table.claimed(table.accept(), call_deadline_s=-60)
    table.claimed(table.accept())
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0).running == 1
    assert table.status(late.id) is JobStatus.QUEUED


def test_a_call_just_past_its_deadline_is_left_to_its_living_worker(table: TableUnderTest) -> None:
    """Until the margin has passed: the worker notices by itself, though the database be busy."""
    table.alive()
    just_late = table.claimed(table.accept(), call_deadline_s=-1)
    far_too_late = table.claimed(table.accept(), call_deadline_s=-DEADLINE_MARGIN_S - 1)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0).running == 1
    assert table.status(far_too_late.id) is JobStatus.QUEUED
    assert table.status(just_late.id) is JobStatus.RUNNING
    assert table.job(just_late.id).calls_unknown == 0


def test_a_storing_job_waits_for_its_spool(table: TableUnderTest) -> None:
    """A dead worker's image counts as lost only after the grace."""
    job = table.in_hand(table.accept())
    table.alive(lease_s=-120)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=60).storing == 0
    table.overwrite(job.id, image_in_hand_at=job.accepted_at - timedelta(minutes=10))
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=60).storing == 1
    again = table.job(job.id)
    assert (again.status, again.calls_lost, again.fence) == (JobStatus.QUEUED, 1, 2)


def test_the_grace_of_an_old_image_begins_with_the_end_of_its_workers_lease(
    table: TableUnderTest,
) -> None:
    """An image received ten minutes ago is waited for: its worker was alive until just now."""
    job = table.in_hand(table.accept())
    table.overwrite(job.id, image_in_hand_at=job.accepted_at - timedelta(minutes=10))
    table.alive(lease_s=-1)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=60).storing == 0
    table.alive(lease_s=-90)
    assert rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=60).storing == 1


def test_a_rescued_job_that_was_to_stop_is_cancelled(table: TableUnderTest) -> None:
    """With cancel asked it does not go out again."""
    running, storing = table.claimed(table.accept()), table.in_hand(table.accept())
    cancel_jobs(table.db, [running.id, storing.id])
    rescued = rescue_dead(table.db, max_unknown_calls=5, spool_grace_s=-1)
    assert (rescued.cancelled, rescued.queued) == (2, 0)
    assert table.job(running.id).calls_unknown == 1
    assert table.job(storing.id).calls_lost == 1


@pytest.mark.parametrize("state", ["queued", "running", "storing", "failed"])
def test_an_image_found_finishes_its_job(table: TableUnderTest, state: str) -> None:
    """From wherever the job is; a call that is then one too many counts as duplicate."""
    job_id = table.accept()
    table.claimed(job_id)
    rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0)
    if state != "queued":
        table.claimed(job_id)
    if state == "storing":
        assert mark_storing_if_held(table.db, job_id, fence=3, images=picture(job_id, 3))
    if state == "failed":
        fail_if_held(
            table.db, job_id, fence=3, outcome=CallOutcome(UNKNOWN, counted_as=CallCount.UNKNOWN)
        )
    found = picture(job_id, 1)
    assert adopt_image(table.db, job_id, fence=1, images=found)
    assert adopt_image(table.db, job_id, fence=1, images=found)
    job = table.job(job_id)
    assert (job.status, list(job.images)) == (JobStatus.SUCCEEDED, found)
    assert job.calls_duplicate == (1 if state in {"running", "storing"} else 0)
    assert not finish_if_held(table.db, job_id, fence=3, images=picture(job_id, 3))


def test_a_holders_own_image_is_no_duplicate(table: TableUnderTest) -> None:
    """The spool of a worker that died comes back before its job was rescued."""
    job = table.in_hand(table.accept())
    assert adopt_image(table.db, job.id, fence=1, images=table.image(job))
    assert table.job(job.id).calls_duplicate == 0
    assert finish_if_held(table.db, job.id, fence=1, images=table.image(job))


def test_an_image_is_not_adopted_where_it_has_no_place(table: TableUnderTest) -> None:
    """Not by jobs that succeeded otherwise, failed for good, were cancelled, or do not exist."""
    done = table.finished(table.accept())
    failed = table.claimed(table.accept())
    fail_if_held(table.db, failed.id, fence=1, outcome=CallOutcome(FAULT))
    cancelled = table.accept()
    ask_cancel(table.db, cancelled)
    for job_id in (done.id, failed.id, cancelled):
        assert not adopt_image(table.db, job_id, fence=0, images=picture(job_id, 0))
    assert not adopt_image(table.db, uuid4(), fence=0, images=picture(uuid4(), 0))


def test_an_image_of_a_claim_that_was_rolled_back_finishes_its_job(table: TableUnderTest) -> None:
    """After a failover the row knows nothing of the claim; its call is counted again."""
    job_id = table.accept()
    found = picture(job_id, 2)
    assert adopt_image(table.db, job_id, fence=2, images=found)
    assert adopt_image(table.db, job_id, fence=2, images=found)
    job = table.job(job_id)
    assert (job.status, list(job.images)) == (JobStatus.SUCCEEDED, found)
    assert (job.fence, job.calls_made, job.calls_duplicate) == (3, 1, 0)
    assert job.first_call_at is not None


def test_an_image_of_a_claim_that_was_rolled_back_makes_the_call_under_way_a_duplicate(
    table: TableUnderTest,
) -> None:
    """Two claims were lost, and the job was claimed again since: two calls, one image."""
    job_id = table.accept()
    table.claimed(job_id)
    assert adopt_image(table.db, job_id, fence=2, images=picture(job_id, 2))
    job = table.job(job_id)
    assert (job.status, job.fence) == (JobStatus.SUCCEEDED, 3)
    assert (job.calls_made, job.calls_duplicate) == (2, 1)


def other_bytes(images: Sequence[StoredImage]) -> list[StoredImage]:
    """The same keys, as another holder of the same fence would fill them."""
    return [replace(image, sha256="cd" * 32) for image in images]


def test_two_holders_of_one_fence_never_store_under_the_same_key(table: TableUnderTest) -> None:
    """A fence that was rolled back is issued twice: only the images that the row names are put."""
    job = table.claimed(table.accept())
    mine, others = table.image(job), other_bytes(table.image(job))
    assert mark_storing_if_held(table.db, job.id, fence=1, images=mine)
    assert mark_storing_if_held(table.db, job.id, fence=1, images=mine)
    assert not mark_storing_if_held(table.db, job.id, fence=1, images=others)
    assert not finish_if_held(table.db, job.id, fence=1, images=others)
    assert not adopt_image(table.db, job.id, fence=1, images=others)
    assert table.status(job.id) is JobStatus.STORING
    assert finish_if_held(table.db, job.id, fence=1, images=mine)
    assert not finish_if_held(table.db, job.id, fence=1, images=others)
    assert list(table.job(job.id).images) == list(mine)


@pytest.mark.parametrize("write", [mark_storing_if_held, finish_if_held])
def test_of_two_holders_of_one_fence_that_write_at_once_one_succeeds(
    table: TableUnderTest, write: Callable[..., bool]
) -> None:
    """Also where both writes go to the database in one statement."""
    job = table.claimed(table.accept())
    both = [table.image(job), other_bytes(table.image(job))]
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(lambda i: write(table.db, job.id, fence=1, images=i), both))
    assert sorted(done) == [False, True]
    assert list(table.job(job.id).images) == list(both[done.index(True)])


def test_a_worker_that_adopts_an_image_holds_its_row(table: TableUnderTest) -> None:
    """The dead worker's lease no longer decides when the image counts as lost."""
    job = table.in_hand(table.accept())
    adopter = uuid4()
    images = table.image(job)
    assert mark_storing_if_held(table.db, job.id, fence=1, images=images, worker_id=adopter)
    assert table.job(job.id).worker_id == adopter
    assert mark_storing_if_held(table.db, job.id, fence=1, images=images)
    assert table.job(job.id).worker_id == adopter


def test_what_was_handed_back_stands_as_before_its_claim(table: TableUnderTest) -> None:
    """Attempt, call and the moment of the first call come back; the last error stays."""
    job_id = table.accept()
    table.claimed(job_id)
    nothing_counts = CallOutcome(FAULT, attempt_counts=False, call_counts=False)
    assert retry_later_if_held(table.db, job_id, fence=1, delay_s=-1, outcome=nothing_counts)
    table.claimed(job_id)
    assert hand_back_if_held(table.db, job_id, fence=2)
    job = table.job(job_id)
    assert (job.status, job.attempts, job.calls_made) == (JobStatus.QUEUED, 0, 0)
    assert (job.first_call_at, job.not_before, job.worker_id) == (None, None, None)
    assert (job.error, job.fence) == (FAULT, 2)


def test_a_job_that_is_retried_by_hand_begins_as_a_new_one(table: TableUnderTest) -> None:
    """The wish to stop it is over, and so is the image that it kept; its fence goes on."""
    job = table.in_hand(table.accept())
    ask_cancel(table.db, job.id)
    assert finish_if_held(table.db, job.id, fence=1, images=table.image(job))
    assert retry_ended(table.db, [job.id]) == [job.id]
    again = table.job(job.id)
    assert (again.status, again.images, again.ended_at) == (JobStatus.QUEUED, (), None)
    assert (again.attempts, again.calls_before, again.calls_made) == (0, 1, 1)
    done = table.finished(job.id)
    assert (done.status, done.fence) == (JobStatus.SUCCEEDED, 2)


def test_no_more_jobs_expire_or_are_rescued_at_once_than_asked_for(table: TableUnderTest) -> None:
    """A round of the leader holds locks for a moment only."""
    for _ in range(3):
        table.accept(expires_in_s=-1.0)
        table.claimed(table.accept())
        table.in_hand(table.accept())
    assert (expire_due(table.db, limit=2), expire_due(table.db, limit=2)) == (2, 1)
    rescued = [rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=-1, limit=2) for _ in "ab"]
    assert [(each.running, each.storing) for each in rescued] == [(2, 2), (1, 1)]


def test_a_job_that_failed_before_may_fail_again_and_its_last_error_counts(
    table: TableUnderTest,
) -> None:
    """What ends well has none."""
    job_id = table.accept()
    table.claimed(job_id)
    assert retry_later_if_held(table.db, job_id, fence=1, delay_s=-1, outcome=CallOutcome(FAULT))
    assert table.job(job_id).error == FAULT
    assert table.finished(job_id).error is None


def test_a_claim_that_comes_too_early_ends_nothing(table: TableUnderTest) -> None:
    """Whether its job waits for its time or for its batch, and has an end to its patience."""
    waiting = table.accept(expires_in_s=3600.0)
    table.claimed(waiting)
    assert retry_later_if_held(table.db, waiting, fence=1, delay_s=60, outcome=CallOutcome(FAULT))
    _, (loading,) = table.batch(1, opened=False, expires_in_s=3600.0)
    assert [table.claim(job_id) for job_id in (waiting, loading)] == [None, None]
    assert {table.status(job_id) for job_id in (waiting, loading)} == {JobStatus.QUEUED}


def test_the_moment_of_the_first_call_stays_that_of_the_first(table: TableUnderTest) -> None:
    """However often the job is called for; also that at which its image was in hand."""
    job_id = table.accept()
    table.claimed(job_id)
    assert retry_later_if_held(table.db, job_id, fence=1, delay_s=-1, outcome=CallOutcome(FAULT))
    first = table.job(job_id).accepted_at - timedelta(hours=1)
    table.overwrite(job_id, first_call_at=first, accepted_at=first)
    job = table.claimed(job_id)
    assert job.first_call_at == first
    assert mark_storing_if_held(table.db, job_id, fence=2, images=table.image(job))
    table.overwrite(job_id, image_in_hand_at=first)
    assert mark_storing_if_held(table.db, job_id, fence=2, images=table.image(job))
    assert finish_if_held(table.db, job_id, fence=2, images=table.image(job))
    done = table.job(job_id)
    assert (done.first_call_at, done.image_in_hand_at) == (first, first)


def test_a_job_that_is_claimed_while_it_is_cancelled_is_asked_to_stop(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was still queued at the first look, and held at the second: the wish is not lost."""
    job_id = table.accept()
    run_ending = importlib.import_module("storage.jobs.transition").run_ending

    def claim_before(db: Database, *change: Any) -> Any:
        table.claim(job_id)
        return run_ending(db, *change)

    monkeypatch.setattr("storage.jobs.cancel.run_ending", claim_before)
    done = cancel_jobs(table.db, [job_id])
    assert (done.cancelled, done.asked, done.untouched) == (0, 1, 0)
    assert table.status(job_id) is JobStatus.RUNNING
    assert hand_back_if_held(table.db, job_id, fence=1)
    assert table.status(job_id) is JobStatus.CANCELLED


def test_a_rescued_job_says_what_was_lost_with_its_worker(table: TableUnderTest) -> None:
    """Its call or its image; a job that was to stop is cancelled, whatever its limit says."""
    running, storing = table.claimed(table.accept()), table.in_hand(table.accept())
    stopped = table.claimed(table.accept())
    ask_cancel(table.db, stopped.id)
    table.overwrite(stopped.id, calls_made=3, calls_unknown=2)
    rescued = rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=-1)
    assert (rescued.running, rescued.storing) == (2, 1)
    assert (rescued.queued, rescued.failed, rescued.cancelled) == (2, 0, 1)
    jobs = [table.job(job.id) for job in (running, storing, stopped)]
    assert [job.error and (job.error.code, job.error.whose) for job in jobs] == [
        (EndCode.OUTCOME_UNKNOWN, "darkroom"),
        ("IMAGE_LOST", "darkroom"),
        (EndCode.CANCELLED, "operator"),
    ]
    assert [job.ended_at is not None for job in jobs] == [False, False, True]
    assert [job.fence for job in jobs] == [2, 2, 2]


def test_a_call_that_was_not_paid_is_given_back_when_its_job_fails(table: TableUnderTest) -> None:
    """The attempt stays counted: it is why the job failed."""
    job_id = table.accept()
    table.claimed(job_id)
    assert fail_if_held(table.db, job_id, fence=1, outcome=CallOutcome(FAULT, call_counts=False))
    job = table.job(job_id)
    assert (job.status, job.error) == (JobStatus.FAILED, FAULT)
    assert (job.attempts, job.calls_made, job.first_call_at) == (1, 0, None)


def test_a_job_that_was_let_go_to_be_called_again_has_not_failed(table: TableUnderTest) -> None:
    """A second write of the same holder is no repeat of the first."""
    job_id = table.accept()
    table.claimed(job_id)
    assert retry_later_if_held(table.db, job_id, fence=1, delay_s=60, outcome=CallOutcome(FAULT))
    assert not fail_if_held(table.db, job_id, fence=1, outcome=CallOutcome(FAULT))
    assert table.status(job_id) is JobStatus.QUEUED


def test_nothing_is_cancelled_or_retried_where_no_job_is_named(table: TableUnderTest) -> None:
    """Empty lists are no errors, and mean no job rather than all."""
    table.accept()
    done = cancel_jobs(table.db, [])
    assert (done.cancelled, done.asked, done.untouched) == (0, 0, 0)
    assert retry_ended(table.db, []) == []


def _bystanders(table: TableUnderTest) -> list[UUID]:
    """One job in each state in which a change might find it."""
    ids = [table.accept() for _ in range(6)]
    _queued, running, storing, failed, cancelled, spent = ids
    table.claimed(running)
    table.in_hand(storing)
    table.claimed(failed)
    assert fail_if_held(
        table.db, failed, fence=1, outcome=CallOutcome(UNKNOWN, counted_as=CallCount.UNKNOWN)
    )
    ask_cancel(table.db, cancelled)
    table.overwrite(spent, calls_made=3)
    return [*ids, table.accept(expires_in_s=-1.0), table.finished(table.accept()).id]


def test_a_change_of_one_job_touches_no_other(table: TableUnderTest) -> None:
    """Whether the other was accepted before it or since, and in whatever state it is."""
    db, before = table.db, _bystanders(table)
    ids = [table.accept() for _ in range(9)]
    late = table.accept(expires_in_s=-1.0)
    others = [*before, *_bystanders(table)]
    stood = [table.job(job_id) for job_id in others]

    stored, later, failed, back, found, asked, within_day, spent, cancelled = ids
    assert table.finished(stored).status is JobStatus.SUCCEEDED
    for job_id in (later, failed, back, found, asked):
        table.claimed(job_id)
    assert retry_later_if_held(db, later, fence=1, delay_s=60, outcome=CallOutcome(FAULT))
    assert fail_if_held(db, failed, fence=1, outcome=CallOutcome(FAULT))
    assert retry_ended(db, [failed]) == [failed]
    assert hand_back_if_held(db, back, fence=1)
    assert adopt_image(db, found, fence=1, images=picture(found, 1))
    assert ask_cancel(db, asked) is CancelOutcome.ASKED
    assert ask_cancel(db, cancelled) is CancelOutcome.CANCELLED
    terms: dict[str, Any] = {"worker_id": table.worker, "call_deadline_s": 60, "max_calls": 3}
    assert claim_if_due(db, within_day, token=uuid4(), max_calls_per_day=9, **terms)
    table.overwrite(spent, calls_made=3)
    assert [table.claim(job_id) for job_id in (spent, late)] == [None, None]
    assert [table.status(i) for i in (spent, late)] == [JobStatus.FAILED, JobStatus.CANCELLED]
    assert [table.job(job_id) for job_id in others] == stood

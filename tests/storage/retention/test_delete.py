"""What is forgotten is gone, does not come back, and takes nothing of the living with it."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from storage.batches.batches import get_batch
from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, JobForgotten, JobNotFound
from storage.intake.insert import insert_job, insert_jobs
from storage.intake.insert_ended import insert_faulty_job
from storage.jobs.adopt import adopt_image
from storage.jobs.cancel import retry_ended
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held, retry_later_if_held
from storage.jobs.rescue import rescue_dead
from storage.queries.filter import database_time
from storage.queries.get import get_job
from storage.queries.pages import list_jobs
from storage.records.call_outcome import CallOutcome
from storage.records.job import StoredImage
from storage.records.states import CallCount, JobStatus
from storage.retention.delete import forget_jobs
from storage.retention.deletion_queue import (
    INIT_GRACE_S,
    claim_deletions,
    deletion_queue_state,
    mark_deleted,
    spare_init_image,
)
from storage.retention.requeue import requeue_deletions, requeue_refused
from storage.retention.tombstones import find_tombstone, objects_left
from tests.storage.table import FAULT, TableUnderTest, new_job, picture

PREFIX = "darkroom/"
SECRET = "a fox nobody may know of"


def forget(table: TableUnderTest, *ids: UUID) -> list[UUID]:
    """Forget jobs; those that are gone now."""
    return forget_jobs(table.db, ids, key_prefix=PREFIX).forgotten


def doomed(db: Database) -> set[str]:
    """Every key that waits to be deleted."""
    with db.read() as connection:
        return set(connection.scalars(select(db.tables.doomed_objects.c.key)))


def let_time_pass(db: Database) -> None:
    """The grace of every key is over."""
    table = db.tables.doomed_objects
    with db.begin() as connection:
        connection.execute(update(table).values(due_at=table.c.doomed_at))


def keys_of(images: list[StoredImage]) -> set[str]:
    """Where they are."""
    return {image.key for image in images}


def test_a_tombstone_keeps_counts_and_times_and_nothing_that_was_written(
    table: TableUnderTest,
) -> None:
    """Prompt, metadata, key and callback are in no table any more; whose it was is."""
    job_id = table.accept(
        request={"prompt": SECRET, "seed": 7},
        owner="shop",
        metadata={"note": SECRET},
        idempotency_key=SECRET,
        callback_url="https://example.com/?" + SECRET.replace(" ", "+"),
    )
    job = table.finished(job_id)
    assert forget(table, job_id) == [job_id]
    stone = find_tombstone(table.db, job_id)
    assert stone is not None
    assert (stone.owner, stone.status, stone.calls_made) == ("shop", "succeeded", 1)
    assert (stone.accepted_at, stone.ended_at) == (job.accepted_at, job.ended_at)
    for each in table.db.tables.metadata.tables.values():
        with table.db.read() as connection:
            assert "fox" not in str(connection.execute(select(each)).all()), each.name


def test_a_forgotten_job_is_told_of_where_it_is_asked_for(table: TableUnderTest) -> None:
    """By its id; in lists it is not, and one that never was is not found as ever."""
    job_id, other = table.finished(table.accept()).id, table.accept()
    forget(table, job_id)
    with pytest.raises(JobForgotten, match=r"\(succeeded\) was forgotten") as told:
        get_job(table.db, job_id)
    assert told.value.tombstone.id == job_id
    assert [job.id for job in list_jobs(table.db)] == [other]
    assert retry_ended(table.db, [job_id]) == []
    with pytest.raises(JobNotFound) as missing:
        get_job(table.db, UUID(int=5))
    assert not isinstance(missing.value, JobForgotten)


def test_its_objects_are_doomed_with_it(table: TableUnderTest) -> None:
    """Those of its row, and those that dead workers may have put; then they are struck off."""
    plain, rescued = table.finished(table.accept()), table.accept()
    table.claimed(rescued)
    assert rescue_dead(table.db, max_unknown_calls=5, spool_grace_s=0).running == 1
    late = table.finished(rescued)
    forget(table, plain.id, rescued)
    strays = {f"{PREFIX}images/{rescued}/{fence}-0.png" for fence in (1, 2, 3)}
    assert doomed(table.db) == keys_of([*plain.images, *late.images]) | strays
    assert (objects_left(table.db, plain.id), objects_left(table.db, rescued)) == (1, 4)
    taken = claim_deletions(table.db, limit=50)
    assert set(taken) == doomed(table.db)
    assert claim_deletions(table.db, limit=50) == []
    requeue_deletions(table.db, taken[:1], error="the bucket is away", delay_s=-1)
    mark_deleted(table.db, taken[1:])
    state = deletion_queue_state(table.db)
    assert (state.objects, state.overdue, state.error) == (1, 1, "the bucket is away")
    assert claim_deletions(table.db, limit=50) == taken[:1]


def test_what_may_not_be_deleted_waits_on_its_own_account(table: TableUnderTest) -> None:
    """For a reason of its own, as long as its own tries say; an object not tried has no try."""
    jobs = [table.finished(table.accept()) for _ in range(3)]
    forget(table, *(job.id for job in jobs))
    often, once, untouched = (job.images[0].key for job in jobs)
    rows = table.db.tables.doomed_objects
    with table.db.begin() as connection:
        connection.execute(update(rows).values(tries=11).where(rows.c.key == often))
    assert set(claim_deletions(table.db, limit=9)) == {often, once, untouched}
    whys = {often: "no right to it", once: "locked"}
    requeue_refused(table.db, whys, first_wait_s=10, longest_wait_s=3000)
    requeue_deletions(table.db, [untouched], error=None, delay_s=5)
    waits = rows.c.due_at, rows.c.tries, rows.c.error
    moment = database_time(table.db)
    with table.db.read() as connection:
        found = {row.key: row for row in connection.execute(select(rows.c.key, *waits))}
    due = {key: (row.due_at - moment).total_seconds() for key, row in found.items()}
    assert {key: (row.tries, row.error) for key, row in found.items()} == {
        often: (12, "no right to it"),
        once: (1, "locked"),
        untouched: (0, None),
    }
    assert max(due[untouched], due[once]) <= 20
    assert 1000 < due[often] <= 3000
    assert claim_deletions(table.db, limit=9) == []


def test_a_job_under_way_stays_and_one_that_waits_is_cancelled_on_the_way(
    table: TableUnderTest,
) -> None:
    """Its call is paid for: it is cancelled first, and forgotten when it has ended."""
    running, storing, waiting = table.accept(), table.accept(), table.accept()
    table.claimed(running)
    table.in_hand(storing)
    done = forget_jobs(table.db, [running, storing, waiting], key_prefix=PREFIX)
    assert (done.forgotten, done.cancelled) == ([waiting], 1)
    assert sorted(done.under_way) == sorted([running, storing])
    stone = find_tombstone(table.db, waiting)
    assert stone is not None
    assert (stone.status, stone.ended_at >= stone.accepted_at) == ("cancelled", True)
    assert table.claim(waiting) is None


def test_a_worker_that_wakes_up_changes_nothing(table: TableUnderTest) -> None:
    """Each of its writes finds no row; each answer means that it has to delete its own object."""
    job_id = table.accept()
    old = table.claimed(job_id)
    rescue_dead(table.db, max_unknown_calls=5, spool_grace_s=0)
    assert forget(table, job_id) == [job_id]
    db, images = table.db, picture(job_id, old.fence)
    assert not finish_if_held(db, job_id, fence=old.fence, images=images)
    assert not adopt_image(db, job_id, fence=old.fence, images=images)
    assert not fail_if_held(
        db, job_id, fence=old.fence, outcome=CallOutcome(FAULT, counted_as=CallCount.UNKNOWN)
    )
    assert not retry_later_if_held(
        db, job_id, fence=old.fence, delay_s=0, outcome=CallOutcome(FAULT)
    )
    assert list_jobs(db) == []


def test_a_late_repeat_does_not_bring_it_back(table: TableUnderTest) -> None:
    """Neither by its id nor by its key, whole or faulty; another owner's same key is free."""
    job = new_job(owner="shop", idempotency_key="order-17")
    forget(table, table.finished(insert_job(table.db, job).job.id).id)
    for again in (job, new_job(owner="shop", idempotency_key="order-17"), new_job(id=job.id)):
        with pytest.raises(JobForgotten) as told:
            insert_job(table.db, again)
        assert told.value.tombstone.id == job.id
    with pytest.raises(JobForgotten):
        insert_faulty_job(table.db, new_job(id=job.id), FAULT)
    assert list_jobs(table.db) == []
    assert insert_job(table.db, new_job(owner="museum", idempotency_key="order-17")).created


@pytest.mark.parametrize("expires_in_s", [None, 60.0])
def test_a_batch_that_is_loaded_again_leaves_the_forgotten_out(
    table: TableUnderTest, expires_in_s: float | None
) -> None:
    """By COPY and by INSERT alike: their lines are passed over."""
    lines = [new_job(expires_in_s=expires_in_s) for _ in range(5)]
    assert insert_jobs(table.db, lines) == 5
    forget(table, *(line.id for line in lines[:2]))
    assert insert_jobs(table.db, lines) == 0
    forget(table, *(line.id for line in lines[2:4]))
    with table.db.begin() as connection:
        connection.execute(table.db.tables.jobs.delete())
    assert insert_jobs(table.db, lines) == 1
    assert [job.id for job in list_jobs(table.db)] == [lines[4].id]


def test_a_batch_keeps_its_counts(table: TableUnderTest) -> None:
    """The ended ones stay counted as they ended, the waiting ones as cancelled; and it closes."""
    batch_id, ids = table.batch(3)
    table.finished(ids[0])
    forget(table, *ids[:2])
    progress = batch_progress(table.db, batch_id)
    assert (progress.total, progress.succeeded, progress.cancelled, progress.queued) == (3, 1, 1, 1)
    table.finished(ids[2])
    assert fold_batch_deltas(table.db) == [batch_id]
    assert get_batch(table.db, batch_id).succeeded == 2
    assert [job.id for job in list_jobs(table.db, batch_id=batch_id)] == [ids[2]]


def test_a_batch_that_is_still_handed_in_is_left_alone(table: TableUnderTest) -> None:
    """Its total is not known yet."""
    _, ids = table.batch(2, opened=False)
    done = forget_jobs(table.db, ids, key_prefix=PREFIX)
    assert (done.forgotten, sorted(done.loading)) == ([], sorted(ids))


def test_an_initial_image_goes_with_the_last_job_that_uses_it(table: TableUnderTest) -> None:
    """Not before, however often one of them is forgotten; and not at once."""
    key = f"{PREFIX}init/ab/{'ab' * 32}"
    first, second = table.accept(init_image_key=key), table.accept(init_image_key=key)
    forget(table, first)
    assert claim_deletions(table.db, limit=9) == []
    let_time_pass(table.db)
    assert claim_deletions(table.db, limit=9) == []
    assert doomed(table.db) == set(), "it is used, so the last one dooms it again"
    forget(table, second)
    assert claim_deletions(table.db, limit=9) == []
    let_time_pass(table.db)
    assert claim_deletions(table.db, limit=9) == [key]


def test_a_new_job_saves_an_initial_image_that_was_to_go(table: TableUnderTest) -> None:
    """It says so before it stores it, and then has the grace to insert its row."""
    key = f"{PREFIX}init/ab/{'ab' * 32}"
    forget(table, table.accept(init_image_key=key))
    let_time_pass(table.db)
    spare_init_image(table.db, key)
    assert claim_deletions(table.db, limit=9) == []
    table.accept(init_image_key=key)
    let_time_pass(table.db)
    assert claim_deletions(table.db, limit=9) == []
    assert INIT_GRACE_S >= 600


def test_an_initial_image_that_is_being_deleted_is_waited_for(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the deletion would come after the new job's object."""
    key = f"{PREFIX}init/ab/{'ab' * 32}"
    forget(table, table.accept(init_image_key=key))
    let_time_pass(table.db)
    assert claim_deletions(table.db, limit=9) == [key]
    rests: list[bool] = []

    def rest(_seconds: float) -> None:
        # It asked and found the deletion under way, which ends while it waits a second time.
        rests.append(True)
        if len(rests) == 2:
            mark_deleted(table.db, [key])

    monkeypatch.setattr("storage.retention.deletion_queue.time.sleep", rest)
    spare_init_image(table.db, key)
    assert len(rests) == 2


def test_forgetting_and_handing_in_again_at_once_leaves_no_job(table: TableUnderTest) -> None:
    """Whichever comes first: in the end there is a tombstone and no row."""
    jobs = [new_job() for _ in range(30)]

    def hand_in(number: int) -> None:
        try:
            insert_job(table.db, jobs[number % 30])
        except JobForgotten:
            return

    def drop(number: int) -> None:
        forget(table, jobs[number % 30].id)

    for job in jobs:
        insert_job(table.db, job)
    with ThreadPoolExecutor(6) as threads:
        done = [threads.submit(work, n) for n in range(60) for work in (hand_in, drop, hand_in)]
    assert all(each.result() is None for each in done)
    assert list_jobs(table.db, limit=99) == []
    assert all(find_tombstone(table.db, job.id) for job in jobs)


def test_claiming_and_forgetting_at_once_one_of_the_two_wins(table: TableUnderTest) -> None:
    """A job that was claimed stays and is whole; one that was forgotten was never called."""
    ids = [table.accept() for _ in range(40)]
    with ThreadPoolExecutor(6) as threads:
        claims = threads.map(table.claim, ids)
        gone = {i for part in threads.map(lambda i: forget(table, i), reversed(ids)) for i in part}
    claimed = {job.id for job in claims if job is not None}
    assert gone.isdisjoint(claimed)
    assert gone | claimed == set(ids)
    assert {table.status(job_id) for job_id in claimed} <= {JobStatus.RUNNING}


def test_nothing_is_left_of_what_was_noted_of_a_deleted_job_for_reuse(
    table: TableUnderTest,
) -> None:
    """Else its request would be answered with an image that is gone."""
    first = table.finished(table.accept(reuse_hash="f0" * 32)).id
    second = table.accept(reuse_hash="f0" * 32, reuse=True)
    assert table.status(second) is JobStatus.SUCCEEDED
    reuses = table.db.tables.reuses
    assert set(forget(table, first, second)) == {first, second}
    with table.db.read() as connection:
        assert connection.execute(select(reuses)).all() == []
    assert table.status(table.accept(reuse_hash="f0" * 32, reuse=True)) is JobStatus.QUEUED


def test_an_initial_image_that_is_deleted_for_too_long_is_an_error(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller may submit the job again; its thread does not wait indefinitely."""
    key = f"{PREFIX}init/ab/{'ab' * 32}"
    forget(table, table.accept(init_image_key=key))
    let_time_pass(table.db)
    assert claim_deletions(table.db, limit=9) == [key]
    monkeypatch.setattr("storage.retention.deletion_queue._SPARE_MOST_S", -1.0)
    with pytest.raises(DatabaseUnavailable, match="being deleted"):
        spare_init_image(table.db, key)


def test_a_job_that_is_being_claimed_is_waited_for_and_stays(
    table: TableUnderTest,
) -> None:
    """Its call may be under way by the time the deletion looks again (PostgreSQL)."""
    if table.db.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    job_id = table.accept()
    other = Database(table.db._engine.url.render_as_string(hide_password=False))
    jobs = other.tables.jobs
    held = {"status": "running", "fence": 1, "attempts": 1, "calls_made": 1}
    times = dict.fromkeys(("first_call_at", "call_deadline"), jobs.c.accepted_at)
    who = {"worker_id": table.worker, "claim_token": table.worker}
    with ThreadPoolExecutor(1) as threads:
        with other.begin() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(held | times | who))
            done = threads.submit(forget_jobs, table.db, [job_id], key_prefix=PREFIX)
            _wait_until_blocked(table.db)
        outcome = done.result(60)
    other.close()
    assert (outcome.forgotten, outcome.under_way) == ([], [job_id])
    assert table.status(job_id) is JobStatus.RUNNING
    assert find_tombstone(table.db, job_id) is None


def _wait_until_blocked(db: Database) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    until_s = time.monotonic() + 30
    while True:
        with db.read() as connection:
            if connection.scalar(waiting):
                return
        assert time.monotonic() < until_s, "nothing waits for the lock"
        time.sleep(0.01)


def test_to_forget_nothing_is_no_error_and_counts_nothing(table: TableUnderTest) -> None:
    """An empty list, and ids of nothing."""
    for ids in ([], [UUID(int=5)]):
        done = forget_jobs(table.db, ids, key_prefix=PREFIX)
        assert (done.forgotten, done.cancelled, done.under_way, done.loading) == ([], 0, [], [])

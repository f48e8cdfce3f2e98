"""The upload threads: what waits, what is tried when, and what a stop leaves in the spool."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from storage.buffers import Pieces
from storage.db.database import Database
from storage.errors import ObjectStoreUnavailable, RowLocked
from storage.jobs.finish import mark_storing_if_held
from storage.jobs.release import fail_if_held
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import CallCount, EndCode, JobStatus
from storage.retention.delete import forget_jobs
from storage.spool.file_format import SpooledImage, SpoolEntry
from storage.spool.spool import Spool
from tasks.locked_rows import LOCKED_CONNECTIONS, locked_row_retry
from tasks.storing.uploader import Uploader
from tests.tasks.jobs import claimed_job
from tests.waiting import wait_until

WITHIN_S = 30
IMAGE = SpooledImage([b"png" * 99], width=9, height=11)
ERROR = JobError("HTTP_500", "the API stumbled", "api")


class Bucket(ObjectStore):
    """A bucket in memory, which does something before it takes an object."""

    def __init__(self) -> None:
        super().__init__(StoreSettings(bucket="memory"))
        self.before: Callable[[str], object] = lambda _: None
        self.stored: list[str] = []
        self.deleted: list[str] = []

    def put(
        self,
        key: str,
        data: bytes | Pieces,
        content_type: str = "image/png",
        *,
        sha256: str | None = None,
    ) -> None:
        """Take an object."""
        del data, content_type, sha256
        self.before(key)
        self.stored.append(key)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.deleted.append(key)


@pytest.fixture
def bucket() -> Bucket:
    """An empty bucket."""
    return Bucket()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A worker's own."""
    spool = Spool(tmp_path / "spool", max_bytes=10**7, fsync=False)
    yield spool
    spool.close()


@pytest.fixture
def stored() -> list[bool]:
    """One for each answer that the bucket has taken."""
    return []


@pytest.fixture
def uploads(
    database: Database, bucket: Bucket, spool: Spool, stored: list[bool]
) -> Iterator[Uploader]:
    """One upload thread."""
    uploads = Uploader(
        database=database,
        objects=bucket,
        spool=spool,
        threads=1,
        key_prefix="x/",
        on_stored=lambda: stored.append(True),
    )
    yield uploads
    uploads.stop()


#: Threads that other tests of this process have left to end.
_others: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    _others.update(threading.enumerate())
    monkeypatch.setattr("tasks.storing.uploader.FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("tasks.storing.uploader.LONGEST_WAIT_S", 0.02)


def spooled(database: Database, uploads: Uploader) -> tuple[Job, SpoolEntry]:
    """A job whose picture is on the disk, and its row says so."""
    job = claimed_job(database)
    entry = uploads.spool(job.id, job.fence, [IMAGE])
    assert mark_storing_if_held(database, job.id, fence=job.fence, images=uploads.stored(entry))
    return job, entry


def test_an_answer_is_stored_once_and_its_file_goes(
    database: Database, uploads: Uploader, bucket: Bucket, spool: Spool, stored: list[bool]
) -> None:
    """The threads wait for it, and a caller that waits for the end is woken."""
    uploads.start()
    job, entry = spooled(database, uploads)
    uploads.add(entry)
    assert uploads.wait_until_empty(WITHIN_S)
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED
    assert bucket.stored == [uploads.stored(entry)[0].key]
    assert (spool.entries(), spool.used_bytes, uploads.claims(), stored) == ([], 0, set(), [True])


def test_a_stopped_thread_begins_no_other_upload(
    database: Database, uploads: Uploader, bucket: Bucket, spool: Spool
) -> None:
    """What it is putting it ends; the rest stays in the spool, for the next process."""
    entered, release = threading.Event(), threading.Event()

    def hold(_key: str) -> None:
        entered.set()
        release.wait(WITHIN_S)

    bucket.before = hold
    first, entry = spooled(database, uploads)
    second, other = spooled(database, uploads)
    uploads.add(entry)
    uploads.add(other)
    uploads.start()
    assert entered.wait(WITHIN_S)
    uploads.stop()
    release.set()
    wait_until(lambda: get_job(database, first.id).status is JobStatus.SUCCEEDED)
    wait_until(lambda: not _upload_threads())
    assert get_job(database, second.id).status is JobStatus.STORING
    assert spool.entries() == [other]
    assert not uploads.wait_until_empty(0)


def test_who_waits_for_the_last_answer_is_woken_by_its_end(
    database: Database, uploads: Uploader
) -> None:
    """A worker that stops must not wait out the whole time that uploads may take."""
    _, entry = spooled(database, uploads)
    uploads.add(entry)
    ended: list[bool] = []
    waiter = threading.Thread(
        target=lambda: ended.append(uploads.wait_until_empty(3600)), daemon=True
    )
    waiter.start()
    wait_until(lambda: vars(uploads._emptied)["_waiters"])
    uploads.start()
    waiter.join(WITHIN_S)
    assert ended == [True]


def test_idle_threads_end_when_they_are_stopped(uploads: Uploader) -> None:
    """They wait for answers, of which none may ever come."""
    uploads.start()
    assert [thread.daemon for thread in _upload_threads()] == [True]
    uploads.stop()
    wait_until(lambda: not _upload_threads())


def test_an_answer_that_waits_for_its_next_try_holds_up_no_other(
    database: Database, uploads: Uploader, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread, too: the failing one waits in the queue and not in the thread."""
    monkeypatch.setattr("tasks.storing.uploader.FIRST_WAIT_S", 3600.0)
    monkeypatch.setattr("tasks.storing.uploader.LONGEST_WAIT_S", 3600.0)
    failing, entry = spooled(database, uploads)
    bad = uploads.stored(entry)[0].key

    tries: list[str] = []

    def refuse(key: str) -> None:
        if key == bad:
            tries.append(key)
            raise ObjectStoreUnavailable("away")

    bucket.before = refuse
    job, other = spooled(database, uploads)
    uploads.start()
    uploads.add(entry)
    uploads.add(other)
    wait_until(lambda: get_job(database, job.id).status is JobStatus.SUCCEEDED)
    wait_until(lambda: uploads.claims() == {(failing.id, failing.fence)})
    assert not uploads.wait_until_empty(0)
    assert tries == [bad]


def test_an_answer_is_tried_until_the_bucket_takes_it(
    database: Database, uploads: Uploader, bucket: Bucket, stored: list[bool]
) -> None:
    """And that storage works is not reported before it has."""
    stored_before: list[list[bool]] = []

    def refuse(_key: str) -> None:
        stored_before.append(list(stored))
        if len(stored_before) < 4:
            raise ObjectStoreUnavailable("away")

    bucket.before = refuse
    job, entry = spooled(database, uploads)
    uploads.start()
    uploads.add(entry, is_named=True)
    assert uploads.wait_until_empty(WITHIN_S)
    assert (stored_before, stored) == ([[]] * 4, [True])
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED


def test_a_try_that_failed_leaves_no_picture_in_memory(
    database: Database, uploads: Uploader, bucket: Bucket
) -> None:
    """From then on the file serves: a bucket that is away must not fill the memory."""

    def refuse(_key: str) -> None:
        raise ObjectStoreUnavailable("away")

    bucket.before = refuse
    _, entry = spooled(database, uploads)
    assert uploads._cache._limiter.inside_bytes > 0
    uploads.start()
    uploads.add(entry)
    wait_until(lambda: uploads._cache._limiter.inside_bytes == 0)


def test_an_answer_whose_job_was_deleted_is_not_put(
    database: Database, uploads: Uploader, bucket: Bucket, spool: Spool
) -> None:
    """Its prompt was to be forgotten: the file goes as well."""
    job, entry = spooled(database, uploads)
    assert forget_jobs(database, [job.id], key_prefix="x/").under_way == [job.id]
    jobs = database.tables.jobs
    with database.begin() as connection:
        connection.execute(
            jobs.update().values(status="queued", worker_id=None, claim_token=None, images=None)
        )
    assert forget_jobs(database, [job.id], key_prefix="x/").forgotten == [job.id]
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(WITHIN_S)
    assert (bucket.stored, spool.entries(), entry.path.exists()) == ([], [], False)
    assert uploads._cache._limiter.inside_bytes == 0


@pytest.mark.parametrize("named", [(60.0, 1), (-1.0, 0)], ids=["just now", "long ago"])
def test_a_row_that_has_just_named_an_answer_is_not_asked_again(
    database: Database,
    uploads: Uploader,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    named: tuple[float, int],
) -> None:
    """For a moment only: after that another worker may hold the fence, with another image."""
    named_for_s, puts = named
    monkeypatch.setattr("tasks.storing.uploader.NAMED_FOR_S", named_for_s)
    job, entry = spooled(database, uploads)
    jobs = database.tables.jobs
    other = [{**_as_dict(uploads, entry), "sha256": "cd" * 32}]
    with database.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job.id).values(images=other))
    seen = threading.Event()
    finish = uploads._writer.write

    def write(*args: object, **how: object) -> object:
        try:
            return finish(*args, **how)  # type: ignore[arg-type]  # passed on as they came
        finally:
            seen.set()

    monkeypatch.setattr(uploads._writer, "write", write)
    uploads.start()
    uploads.add(entry, is_named=True)
    assert seen.wait(WITHIN_S)
    uploads.stop()
    wait_until(lambda: not _upload_threads())
    assert len(bucket.stored) == puts
    assert uploads._spool.entries() == [entry], "the other one may still be lost"
    assert bucket.deleted == [], "its key is the other one's"


def test_an_answer_without_a_file_is_known_until_it_is_stored(
    database: Database, uploads: Uploader, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full: its claim is this process's, which must not end before."""
    job = claimed_job(database)
    known: list[bool] = []
    empty: list[bool] = []
    rests: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=rests.append)
    monkeypatch.setattr("tasks.storing.uploader.time", clock)

    def refuse(_key: str) -> None:
        known.append((job.id, job.fence) in uploads.claims())
        empty.append(uploads.wait_until_empty(0))
        if len(known) < 3:
            raise ObjectStoreUnavailable("away")

    bucket.before = refuse
    uploads.put_now(job.id, job.fence, [IMAGE])
    assert (known, empty) == ([True] * 3, [False] * 3)
    assert [rest > 0 for rest in rests] == [True, True], "between two tries"
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED
    assert uploads.claims() == set()
    assert uploads.wait_until_empty(0)


def test_an_answer_without_a_file_and_without_a_job_is_given_up(
    uploads: Uploader, bucket: Bucket, database: Database
) -> None:
    """Otherwise its thread would try indefinitely."""
    job = claimed_job(database)
    with database.begin() as connection:
        connection.execute(database.tables.jobs.delete())
    uploads.put_now(job.id, job.fence, [IMAGE])
    assert bucket.stored == []
    assert uploads.wait_until_empty(0)


def test_an_answer_is_tried_again_when_its_wait_is_over_and_not_before(
    database: Database, uploads: Uploader, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that stands still until the test moves it on."""
    clock = [100.0]
    stopped = SimpleNamespace(monotonic=lambda: clock[0], sleep=time.sleep)
    monkeypatch.setattr("tasks.storing.uploader.time", stopped)
    monkeypatch.setattr("tasks.storing.uploader.FIRST_WAIT_S", 0.5)
    monkeypatch.setattr("tasks.storing.uploader.LONGEST_WAIT_S", 0.5)
    failing, entry = spooled(database, uploads)
    bad, tries = uploads.stored(entry)[0].key, list[str]()

    def refuse_once(key: str) -> None:
        if key == bad:
            tries.append(key)
            if len(tries) == 1:
                raise ObjectStoreUnavailable("away")

    bucket.before = refuse_once
    uploads.start()
    uploads.add(entry)
    wait_until(lambda: tries)
    uploads.add(spooled(database, uploads)[1])
    wait_until(lambda: len(bucket.stored) == 1)
    uploads.add(spooled(database, uploads)[1])
    wait_until(lambda: len(bucket.stored) == 2)
    assert len(tries) == 1
    clock[0] += 0.5
    assert uploads.wait_until_empty(WITHIN_S)
    assert (len(tries), get_job(database, failing.id).status) == (2, JobStatus.SUCCEEDED)


def test_a_try_that_failed_asks_the_row_again(
    database: Database,
    uploads: Uploader,
    bucket: Bucket,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However recently it was named: a bucket that is away may take longer than a failover."""
    monkeypatch.setattr("tasks.storing.uploader.NAMED_FOR_S", 3600.0)
    job, entry = spooled(database, uploads)
    named = [{**_as_dict(uploads, entry), "sha256": "cd" * 32}]

    def name_another_and_refuse(_key: str) -> None:
        jobs = database.tables.jobs
        with database.begin() as connection:
            connection.execute(jobs.update().where(jobs.c.id == job.id).values(images=named))
        raise ObjectStoreUnavailable("away")

    bucket.before = name_another_and_refuse
    other, next_one = spooled(database, uploads)
    attempts = _count_attempts(uploads, monkeypatch)
    uploads.start()
    uploads.add(entry, is_named=True)
    wait_until(lambda: attempts.count(entry) >= 2)
    bucket.before = lambda _: None
    uploads.add(next_one)
    wait_until(lambda: spool.entries() == [entry])
    assert bucket.stored == [uploads.stored(next_one)[0].key]
    assert get_job(database, other.id).status is JobStatus.SUCCEEDED


def test_an_answer_whose_row_is_locked_is_tried_on_few_connections(
    database: Database, uploads: Uploader, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many waiting already, it waits; once it is stored, nothing of it is remembered."""
    job, entry = spooled(database, uploads)
    tries: list[str] = []

    def lock_once(key: str) -> None:
        tries.append(key)
        if len(tries) == 1:
            raise RowLocked("locked")

    bucket.before = lock_once
    attempts = _count_attempts(uploads, monkeypatch)
    with ExitStack() as others:
        for _ in range(LOCKED_CONNECTIONS):
            others.enter_context(locked_row_retry())
        uploads.start()
        uploads.add(entry)
        wait_until(lambda: attempts.count(entry) >= 3)
        assert len(tries) == 1
    assert uploads.wait_until_empty(WITHIN_S)
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED
    assert uploads._locked._keys == set()


def test_an_answer_whose_job_ends_otherwise_while_it_is_put_leaves_no_object(
    database: Database, uploads: Uploader, bucket: Bucket, spool: Spool
) -> None:
    """No process would ever look for it."""
    job, entry = spooled(database, uploads)

    def fail(_key: str) -> None:
        assert fail_if_held(
            database, job.id, fence=1, outcome=CallOutcome(ERROR, counted_as=CallCount.LOST)
        )

    bucket.before = fail
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(WITHIN_S)
    assert bucket.stored == bucket.deleted == [uploads.stored(entry)[0].key]
    assert (get_job(database, job.id).status, spool.entries()) == (JobStatus.FAILED, [])


@pytest.mark.parametrize(
    ("code", "status"),
    [(EndCode.OUTCOME_UNKNOWN, JobStatus.SUCCEEDED), ("HTTP_500", JobStatus.FAILED)],
)
def test_an_answer_finishes_a_job_that_was_given_up_for_want_of_it_and_no_other(
    database: Database, uploads: Uploader, bucket: Bucket, code: str, status: JobStatus
) -> None:
    """A job that failed for another reason is not put at all."""
    job, entry = spooled(database, uploads)
    error = JobError(code, "given up", "api")
    assert fail_if_held(
        database, job.id, fence=1, outcome=CallOutcome(error, counted_as=CallCount.LOST)
    )
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(WITHIN_S)
    assert get_job(database, job.id).status is status
    assert len(bucket.stored) == (1 if status is JobStatus.SUCCEEDED else 0)


@pytest.mark.parametrize("holder", ["itself", "another"])
def test_an_answer_whose_locked_row_cannot_name_it_is_put_for_its_own_claim_alone(
    database: Database,
    bucket: Bucket,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    holder: str,
) -> None:
    """Another worker at the same fence may have another picture, under the same key."""
    worker_id = uuid4()
    uploads = uploads_of(worker_id, database, bucket, spool)
    job = claimed_job(database, worker_id=worker_id if holder == "itself" else uuid4())
    entry = uploads.spool(job.id, job.fence, [IMAGE])

    def locked(*_: object, **__: object) -> bool:
        raise RowLocked("locked")

    monkeypatch.setattr("tasks.storing.image_writer.mark_storing_if_held", locked)
    attempts = _count_attempts(uploads, monkeypatch)
    uploads.start()
    uploads.add(entry)
    wait_until(lambda: attempts.count(entry) >= 2 or bucket.stored)
    assert len(bucket.stored) == (1 if holder == "itself" else 0)
    monkeypatch.setattr("tasks.storing.image_writer.mark_storing_if_held", mark_storing_if_held)
    assert uploads.wait_until_empty(WITHIN_S)
    uploads.stop()
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED


def uploads_of(worker_id: UUID, database: Database, bucket: Bucket, spool: Spool) -> Uploader:
    """One upload thread of a worker that holds its rows."""
    return Uploader(
        database=database,
        objects=bucket,
        spool=spool,
        threads=1,
        key_prefix="x/",
        worker_id=worker_id,
    )


def test_an_answer_without_a_file_waits_for_another_at_its_fence(
    database: Database, uploads: Uploader, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one may still be lost; once the job has ended, this one is not wanted."""
    job, _ = spooled(database, uploads)
    ended, attempts = threading.Event(), _count_attempts(uploads, monkeypatch)

    def put() -> None:
        uploads.put_now(job.id, job.fence, [SpooledImage([b"another"], width=9, height=11)])
        ended.set()

    threading.Thread(target=put, daemon=True).start()
    wait_until(lambda: len(attempts) >= 2)
    assert (bucket.stored, ended.is_set()) == ([], False)
    assert fail_if_held(
        database, job.id, fence=1, outcome=CallOutcome(ERROR, counted_as=CallCount.LOST)
    )
    assert ended.wait(WITHIN_S)
    assert bucket.stored == []


def _as_dict(uploads: Uploader, entry: SpoolEntry) -> dict[str, object]:
    image = uploads.stored(entry)[0]
    names = ("index", "key", "sha256", "size_bytes", "width", "height")
    return {name: getattr(image, name) for name in names}


def _count_attempts(uploads: Uploader, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The answers that a thread has come to, each as often as it did."""
    attempts, attempt = list[object](), uploads._locked.attempt

    def counted(entry: SpoolEntry) -> AbstractContextManager[bool]:
        attempts.append(entry)
        return attempt(entry)

    monkeypatch.setattr(uploads._locked, "attempt", counted)
    return attempts


def _upload_threads() -> list[threading.Thread]:
    now = set(threading.enumerate()) - _others
    return [thread for thread in now if thread.name.startswith("upload-")]

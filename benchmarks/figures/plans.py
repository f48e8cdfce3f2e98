"""How many rows the database reads for a job with millions of rows, against ten thousand.

The steps are the product's own functions; their statements are explained as they are sent. Half of
the rows have ended, half are queued.
"""

from collections.abc import Callable, Iterator, Mapping
from uuid import UUID, uuid4

from benchmarks.figures.explain import explained
from benchmarks.figures.many_rows import crowd
from benchmarks.readings.reading import Reading
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers
from storage.batches.counts import batch_progress
from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.dispatch.reserve import reserve_due
from storage.fleet.leases import WorkerInfo, register_worker
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.migrations.migrate import migrate
from storage.queries.pages import list_jobs
from storage.records.job import Job, StoredImage
from storage.records.states import JobStatus

__all__ = ["PLANS", "STEPS", "plans"]

PLANS = "plans over many rows"
#: In a smaller table, a planner may correctly choose to read and sort all rows.
SMALL = 10_000
CALLS = 16
PAGE = 50
#: Each step, and how many rows it may read: a small multiple of those that it returns.
STEPS = {
    "16 due rows": 100,
    "claim": 10,
    "in hand, finished": 10,
    "list 50": 100,
    "the next 50": 100,
    "50 of a batch": 100,
    "50 that succeeded": 100,
    "a batch's progress": 100,
}
REQUEST = {"prompt": "a quiet harbour", "seed": 7}


def plans(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Run every step over a small, a medium and a large table: planners change their plans."""
    for rows in sorted({SMALL, max(SMALL, scale.rows // 30), scale.rows}):
        url = servers.postgres.new_database()
        database = Database(url)
        try:
            migrate(database)
            batch_id = crowd(database, url, REQUEST, rows // 2, ended=rows - rows // 2)
            yield from _steps(database, batch_id, rows)
        finally:
            database.close()
            servers.postgres.drop_database(url)


def _steps(database: Database, batch_id: UUID, rows: int) -> Iterator[Reading]:
    for name, step in _named_steps(database, batch_id).items():
        with explained() as found:
            step()
        numbers = {
            "rows": rows,
            "statements": found.statements,
            "rows_read": found.rows_read,
            "pages": found.pages,
            "scans": len(found.scans),
        }
        yield Reading(PLANS, name, numbers)


def _named_steps(database: Database, batch_id: UUID) -> Mapping[str, Callable[[], object]]:
    worker_id = uuid4()
    info = WorkerInfo(worker_id, "bench", 1, "0", 1, 20.0)
    due: list[UUID] = []
    claimed: list[Job] = []

    def find_due() -> None:
        due.extend(reserve_due(database, limit=CALLS, stale_after_s=60))

    def claim() -> None:
        job = claim_if_due(
            database, due[0], worker_id=worker_id, token=uuid4(), call_deadline_s=60, max_calls=3
        )
        claimed.extend([job] if job else [])

    def finish() -> None:
        job = claimed[0]
        image = StoredImage(0, "key", "0" * 64, 1_500_000, 1024, 1024)
        mark_storing_if_held(database, job.id, fence=job.fence, images=[image])
        finish_if_held(database, job.id, fence=job.fence, images=[image])

    register_worker(database, info)
    page = list_jobs(database, limit=PAGE)
    ended = list_jobs(database, status=JobStatus.SUCCEEDED, limit=1)
    steps: tuple[Callable[[], object], ...] = (
        find_due,
        claim,
        finish,
        lambda: list_jobs(database, limit=PAGE),
        lambda: list_jobs(database, before=Cursor.after(page[-1]), limit=PAGE),
        lambda: list_jobs(database, batch_id=batch_id, limit=PAGE),
        lambda: list_jobs(
            database, status=JobStatus.SUCCEEDED, before=Cursor.after(ended[-1]), limit=PAGE
        ),
        lambda: batch_progress(database, batch_id),
    )
    return dict(zip(STEPS, steps, strict=True))

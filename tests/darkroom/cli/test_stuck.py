"""`darkroom list --stuck`: what rescue should have dealt with, and nothing else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from storage.jobs.finish import mark_storing_if_held
from storage.records.job import StoredImage
from tests.darkroom.cli.conftest import CommandLine, claim


def change(tables: Database, job_id: UUID, **values: Any) -> None:
    """Set columns by hand."""
    jobs = tables.tables.jobs
    with tables.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def hold(tables: Database, job_id: UUID, *, alive: bool) -> datetime:
    """Have a job held for ten minutes by a worker that lives or does not; when it was claimed."""
    job = claim(tables, job_id)
    assert job.worker_id is not None
    assert job.first_call_at is not None
    lease_s = 60 if alive else -60
    register_worker(tables, WorkerInfo(job.worker_id, "host", 1, "0", 4, lease_s))
    change(tables, job_id, first_call_at=job.first_call_at - timedelta(minutes=10))
    return job.first_call_at


def test_each_stuck_job_has_its_reason(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """A dead worker, a deadline long past, an image that no worker stores; not a third try."""
    orphan, late, storing, busy = (a_job(name) for name in "abcd")
    a_job("waiting")
    hold(tables, orphan, alive=False)
    began = hold(tables, late, alive=True)
    change(tables, late, call_deadline=began - timedelta(minutes=5, seconds=10))
    began = hold(tables, storing, alive=True)
    image = StoredImage(0, "k.png", "ab" * 32, 10, 64, 32)
    assert mark_storing_if_held(tables, storing, fence=1, images=[image])
    change(tables, storing, image_in_hand_at=began - timedelta(minutes=4, seconds=10))
    hold(tables, busy, alive=True)
    ran = at_table("list", "--stuck")
    assert (ran.status, ran.err) == (0, "")
    assert set(ran.out.splitlines()) == {
        f"{orphan} running its worker is gone",
        f"{late} running 5 min past its call's deadline",
        f"{storing} storing image waits 4 min for the bucket",
    }
    assert max(map(len, ran.out.splitlines())) <= 80
    as_data = at_table("list", "--stuck", "--json", "--limit", "2")
    assert all(job["stuck"] for job in as_data.json_lines)
    assert as_data.lines == ["3 are stuck, the oldest of them shown"]


def test_nothing_stuck_is_said(at_table: CommandLine, a_job: Callable[..., UUID]) -> None:
    """A word on stderr, exit status 0; and filters that would be ignored are refused."""
    a_job()
    ran = at_table("list", "--stuck")
    assert (ran.status, ran.out, ran.lines) == (0, "", ["nothing is stuck"])
    assert at_table("list", "--stuck", "--owner", "ann").status == 2

"""What runs beside Celery for as long as the process does."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.spool.spool import Spool
from tasks.execution.dispatched_jobs import DispatchedJobs
from tasks.execution.executor import Executor
from tasks.execution.inbox import Inbox
from tests.tasks.rests import Rests
from workers.adoption import Adoption


class Uploads:
    """Spools that cannot be searched at first."""

    def __init__(self) -> None:
        self._faults = iter([ZeroDivisionError])

    def adopt(self) -> int:
        """Raise an unforeseen fault at first."""
        for fault in self._faults:
            raise fault("never heard of")
        return 3


def test_a_fault_nobody_foresaw_does_not_end_the_search_for_images(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """What dead processes leave is found for as long as this one lives."""
    caplog.set_level("INFO")
    spool, uploads = Spool(tmp_path, max_bytes=10**6, fsync=False), Uploads()
    loop = Adoption(spool, uploads, every_s=5.0).loop  # type: ignore[arg-type]  # only adopts
    Rests(loop, last=4)
    loop.run()
    spool.close()
    assert "images of a dead worker were found" in caplog.text


class Dispatching:
    """One job is due, and no second."""

    def __init__(self) -> None:
        self._due = [[uuid4()]]

    def take_one(self) -> list[UUID]:
        """Reserve it for this process."""
        return self._due.pop() if self._due else []


def test_a_job_for_a_probe_comes_from_the_table_and_waits_in_the_inbox() -> None:
    """A thread is there for it; where none is due, none comes."""
    ran: list[UUID] = []
    inbox = Inbox(16)
    inbox.call_when_added(Executor(threads=1, inbox=inbox, run=ran.append).grow)
    dispatch: Any = Dispatching()
    jobs = DispatchedJobs(inbox, dispatch)
    assert jobs.bring_one()
    assert inbox.wait_until_idle(30)
    assert inbox.arrived == 1
    assert not jobs.bring_one()
    inbox.close()

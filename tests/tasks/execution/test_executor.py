"""The executor: as many threads as jobs, up to a bound."""

import threading
from uuid import UUID, uuid4

import pytest

from tasks.execution.executor import Executor
from tasks.execution.inbox import Inbox


def test_every_waiting_job_gets_a_thread_of_its_own() -> None:
    """Jobs that wait for the API do not wait for each other."""
    inbox = Inbox(100)
    together = threading.Barrier(21)

    def meet(_: UUID) -> None:
        together.wait(30)

    executor = Executor(threads=50, inbox=inbox, run=meet)
    for _ in range(20):
        inbox.add([uuid4()])
        executor.grow()
    together.wait(30)
    assert inbox.wait_until_idle(30)
    inbox.close()


def test_no_more_jobs_run_at_once_than_threads_allow() -> None:
    """Each has a stack and a picture in memory, so there is a bound."""
    inbox, lock, together = Inbox(100), threading.Lock(), threading.Barrier(3)
    running, highest = 0, 0

    def run(_: UUID) -> None:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        together.wait(30)
        with lock:
            running -= 1

    executor = Executor(threads=3, inbox=inbox, run=run)
    inbox.add([uuid4() for _ in range(60)])
    executor.grow()
    while len(inbox):
        threading.Event().wait(0.01)
    assert inbox.wait_until_idle(30)
    inbox.close()
    assert highest == 3


def test_a_course_that_breaks_off_costs_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    """One bad job must not take a thread away from the others."""
    inbox = Inbox(10)
    done: list[UUID] = []
    bad, good = uuid4(), uuid4()

    def run(job_id: UUID) -> None:
        if job_id == bad:
            raise RuntimeError("a bug")
        done.append(job_id)

    executor = Executor(threads=1, inbox=inbox, run=run)
    inbox.add([bad, good])
    executor.grow()
    while not done:
        threading.Event().wait(0.01)
    inbox.close()
    assert done == [good]
    assert str(bad) in str(caplog.records[0].__dict__["job_id"])


def test_a_call_under_way_keeps_no_process_from_ending() -> None:
    """An answer may take two minutes, and a worker that must stop at once stops."""
    inbox, kinds = Inbox(10), list[bool]()
    executor = Executor(
        threads=1, inbox=inbox, run=lambda _: kinds.append(threading.current_thread().daemon)
    )
    inbox.add([uuid4()])
    executor.grow()
    while not kinds:
        threading.Event().wait(0.01)
    inbox.close()
    assert kinds == [True]

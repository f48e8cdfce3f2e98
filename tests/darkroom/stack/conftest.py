"""Plans for real stacks, and the claim over every test here: no process is left behind."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from darkroom.stack import StackPlan

PROGRAMS = Path(__file__).with_name("programs")


class MakePlan(Protocol):
    """Makes a plan; any of its fields may be given."""

    def __call__(self, **fields: Any) -> StackPlan:
        """Make a plan with these fields instead of the usual ones."""
        ...


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = set(psutil.Process().children())
    yield
    started = set(psutil.Process().children()) - before
    # Not the children of those from before: a server of the tester's may have some of its own.
    theirs = {each for process in started for each in _descendants(process)}
    assert {process for process in started | theirs if is_running(process.pid)} == set()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Where a stand-in worker reports its environment."""
    return tmp_path / "report.json"


@pytest.fixture
def make_plan(tmp_path: Path, report: Path) -> MakePlan:
    """Plans for a stack in a folder with a space in its path; no simulator unless asked for."""

    def make(**fields: Any) -> StackPlan:
        given: dict[str, Any] = {
            "data_dir": tmp_path / "a data folder",
            "environment": os.environ | {"STAND_IN_REPORT": str(report)},
            "playground_url": "http://127.0.0.1:9/nobody-calls-it",
            "worker_command": (sys.executable, str(PROGRAMS / "worker.py")),
        }
        return StackPlan(**(given | fields))

    return make


def wait_until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    """Return when it holds; fail when it doesn't in time."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that ended and only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

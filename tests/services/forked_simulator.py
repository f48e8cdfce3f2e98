"""A simulator as a process that need not load its libraries anew: 0.6 s of CPU less a start.

What a start from nothing does is for the simulator's own tests to show.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import psutil

__all__ = ["fork_simulator"]

_REPO = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_name("simulator_forks.py")
_ONE_BY_ONE = Lock()


class ForkedSimulator:
    """One running simulator; what a test needs of `subprocess.Popen`."""

    def __init__(self, pid: int, out: Path) -> None:
        self.pid = pid
        self._out = out
        self._process: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):  # one given invalid arguments ends at once
            self._process = psutil.Process(pid)

    def poll(self) -> int | None:
        """Its exit status; None while it runs, and SIGKILL's if it could not leave one."""
        if self._process is not None and self._process.is_running():
            return None
        status = _status_of(self._out)
        return int(status.read_text("utf-8")) if status.exists() else -signal.SIGKILL

    def send_signal(self, number: int) -> None:
        """Signal it; one that is gone gets none."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except psutil.TimeoutExpired as error:
                raise subprocess.TimeoutExpired("simulator", timeout or 0) from error
        return self.poll()


def _status_of(out: Path) -> Path:
    return Path(f"{out}.status")


@functools.cache
def _forks() -> "subprocess.Popen[str]":
    server = subprocess.Popen(
        [sys.executable, "-P", str(_SCRIPT)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_REPO)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is the tester's to act upon
    )
    atexit.register(server.communicate)
    return server


def fork_simulator(
    words: Sequence[str | Path], *, folder: Path, out: Path, err: Path | None = None
) -> ForkedSimulator:
    """Start a simulator.

    Args:
        words: of its command line.
        folder: where it runs.
        out: gets what it prints.
        err: gets what it says beside that; `out` gets both by default.
    """
    files = {"folder": str(folder), "out": str(out), "err": str(err or out)}
    asked = {"words": [str(word) for word in words], **files}
    _status_of(out).unlink(missing_ok=True)
    server = _forks()
    assert server.stdin is not None
    assert server.stdout is not None
    with _ONE_BY_ONE:
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        return ForkedSimulator(int(server.stdout.readline()), out)

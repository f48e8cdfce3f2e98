"""`darkroom worker` as a process to be killed, stopped and restarted.

A server that has our libraries loaded forks each one, which saves most of a worker's start; from
`main()` on it is the command itself, with its own folder, environment, output and exit status.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from chaos.snags import Snag, arm
from chaos.warm import SERVER

__all__ = ["WorkerProcess"]

PR_SET_PDEATHSIG = 1
LOOK_AGAIN_S = 0.02

#: The library notes a child's end once; two threads that look at the same moment would disagree.
_LOOKING = threading.Lock()


class WorkerProcess:
    """One worker process.

    Args:
        environment: its whole environment.
        folder: where it runs.
        log: gets its output.
        snag: the step at which it signals itself, if any.
    """

    def __init__(
        self, environment: Mapping[str, str], folder: Path, log: Path, snag: Snag | None
    ) -> None:
        self.snag = snag
        self._process = SERVER.Process(target=_become, args=(dict(environment), folder, log, snag))
        with _LOOKING:
            self._process.start()
        self.pid = int(self._process.pid or 0)

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        with _LOOKING:
            return self._process.exitcode

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    @property
    def memory_bytes(self) -> int:
        """What it has in memory now; 0 once it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that is gone gets none."""
        if self.exit_status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        while self.exit_status is None:
            time.sleep(LOOK_AGAIN_S)

    def wait(self, within_s: float) -> int | None:
        """Wait for its end; its exit status, or None if it still runs."""
        until = time.monotonic() + within_s
        while self.exit_status is None and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
        return self.exit_status


def _become(environment: dict[str, str], folder: Path, log: Path, snag: Snag | None) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    if snag is not None:
        arm(snag)
    sys.argv = ["darkroom", "worker"]
    from darkroom.__main__ import main  # noqa: PLC0415 - only in the process that becomes it

    main()

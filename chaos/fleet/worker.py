"""Run `darkroom worker` as a process to be killed, stopped and restarted."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import psutil

from chaos.fleet.forked import ForkedCommand
from chaos.fleet.snags import Snag, arm

__all__ = ["WorkerProcess"]


class WorkerProcess(ForkedCommand):
    """One worker process.

    Args:
        environment: its whole environment.
        folder: its current folder.
        log: gets its output.
        snag: the step at which it signals itself, if any.
        first: called in the process before the command begins, unless there is a snag.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        snag: Snag | None,
        first: Callable[[], None] | None = None,
    ) -> None:
        first = first if snag is None else partial(arm, snag)
        super().__init__(["worker"], environment, folder, out=log, first=first)

    @property
    def is_stopped(self) -> bool:
        """Return whether SIGSTOP holds it."""
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    @property
    def memory_bytes(self) -> int:
        """Return its memory in use; 0 once it has ended."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

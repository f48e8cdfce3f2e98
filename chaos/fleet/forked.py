"""Run `darkroom …` as a forked process that need not load the libraries again.

Loading them takes longer than most commands run. So a server loads them once and forks a process
for each command. From `main()` on it is the command itself, with its own folder, environment,
input, output and exit status.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chaos.fleet.warm import SERVER

__all__ = ["ForkedCommand"]

PR_SET_PDEATHSIG = 1
LOOK_AGAIN_S = 0.02

#: The library records a child's end once; two threads that check at the same moment would disagree.
_LOOKING = threading.Lock()


class ForkedCommand:
    """One command as a process.

    Args:
        words: the arguments after `darkroom`.
        environment: its whole environment.
        folder: its current folder.
        out: gets its standard output.
        err: gets its standard error; by default `out` gets both.
        given: a file as its standard input; empty by default.
        first: called in the process before the command begins.

    Attributes:
        pid: its process id.
    """

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        out: Path,
        err: Path | None = None,
        given: Path | None = None,
        first: Callable[[], None] | None = None,
    ) -> None:
        files = (given or Path(os.devnull), out, err or out)
        self._process = SERVER.Process(
            target=_become, args=(list(words), dict(environment), folder, files, first)
        )
        with _LOOKING:
            self._process.start()
        self.pid = int(self._process.pid or 0)

    @property
    def exit_status(self) -> int | None:
        """Return the exit status; None while it runs; negative for the signal that ended it."""
        with _LOOKING:
            return self._process.exitcode

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.exit_status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, and wait until it has ended."""
        self.signal(signal.SIGKILL)
        while self.exit_status is None:
            time.sleep(LOOK_AGAIN_S)

    def wait(self, within_s: float) -> int | None:
        """Wait for its end; return its exit status, or None if it still runs."""
        until = time.monotonic() + within_s
        while self.exit_status is None and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
        return self.exit_status


def _become(
    words: list[str],
    environment: dict[str, str],
    folder: Path,
    files: tuple[Path, Path, Path],
    first: Callable[[], None] | None,
) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    modes = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_APPEND] * 2)
    for number, (path, mode) in enumerate(zip(files, modes, strict=True)):
        descriptor = os.open(path, mode, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    # The server's own input is closed to its children, so open a new one.
    sys.stdin = os.fdopen(0, closefd=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # real text streams
    if first is not None:
        first()
    sys.argv = ["darkroom", *words]
    from darkroom.__main__ import main  # noqa: PLC0415 - only in the process that becomes it

    main()

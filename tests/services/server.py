"""A server process that tests may kill, pause and start again on the same port and data."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from darkroom.stack.ports import LOOPBACK, free_port
from darkroom.stack.supervision.spawn import spawn

_READY_WITHIN_S = 60.0
_STOPPED_WITHIN_S = 10.0
_LOOK_AGAIN_S = 0.01


def clean_environment() -> dict[str, str]:
    """Our environment without what could steer a server: keys, remotes, settings."""
    ours = ("AWS_", "DARKROOM_", "PG", "RCLONE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Running(Protocol):
    """A process, however it was started."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; `subprocess.TimeoutExpired` where it does not come."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Signal it; nothing happens where it has ended."""
        ...


class Server:
    """One server on one loopback port, over one folder.

    Args:
        name: What to call it when it fails.
        command: Builds the command line from the port.
        ready: Tells whether the server on this port answers; may raise `OSError` while it doesn't.
        folder: Where it runs and logs.
        env: Variables added to a clean environment.
        stop_signal: What asks it to end.
        run_as: User and group id to run as.
        stop_before: Called by `stop()` before the signal.
    """

    host = LOOPBACK

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str | Path]],
        ready: Callable[[int], bool],
        *,
        folder: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        run_as: tuple[int, int] | None = None,
    ) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self._command = command
        self._ready = ready
        self._folder = folder
        self._env = clean_environment() | dict(env or {})
        self._stop_signal = stop_signal
        self._run_as = run_as
        self._process: Running | None = None

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not stopped or killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it and return when it answers."""
        assert self._process is None, f"{self.name} runs already"
        self._process = self._begin()
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _begin(self) -> Running:
        return spawn(
            self._command(self.port),
            env=self._env,
            log=self.log,
            cwd=self._folder,
            run_as=self._run_as,
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                raise AssertionError(f"{self.name} ended at its start:\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not answer:\n{self._last_words()}")
            time.sleep(_LOOK_AGAIN_S)

    def _answers(self) -> bool:
        try:
            return self._ready(self.port)
        except OSError:
            return False

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Ask it to end and wait; does nothing when it isn't running."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL it and everything it started, and wait until all are gone."""
        if self._process is None:
            return
        family = self._signal_all(signal.SIGKILL)
        self._process.wait()
        psutil.wait_procs(family, timeout=_STOPPED_WITHIN_S)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause()`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> list[psutil.Process]:
        """Signal it and its children by pid (PostgreSQL's leave its group); return the children."""
        try:
            server = psutil.Process(self.pid)
            children: list[psutil.Process] = server.children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        for process in [server, *children]:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        return children

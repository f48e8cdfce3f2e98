"""Supervise one process: start it, watch it, restart it when it dies, and stop its group.

It does not depend on the program; `darkroom/stack/programs/` describes those. A child
cannot outlive this process even if it is killed: see `spawn.py`.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.errors import UserError
from darkroom.stack.supervision.spawn import spawn
from tasks.backoff import NO_JITTER, backoff_s

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.02

_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 30.0
_HEALTHY_AFTER_S = 60.0
"""A child that ran this long starts with the first backoff again."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs.

    Attributes:
        name: Its name for people and for its log.
        argv: The command.
        env: Its whole environment.
        log: File its output is appended to.
        cwd: Folder it runs in; the current one when None.
        answers: Returns whether it is ready; None if running counts as ready.
        ready_within_s: How long it may take to get ready.
        stop_within_s: How long it may take to end after SIGTERM.
    """

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] = field(repr=False)
    log: Path
    cwd: Path | None
    answers: Callable[[], bool] | None = None
    ready_within_s: float = 20.0
    stop_within_s: float = 10.0


class Child:
    """A running program that `look()` keeps running."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at_s = 0.0
        self._start_at_s: float | None = None
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """Return its process id, or None if it is not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it without waiting.

        Raises:
            UserError: Its log can't be written or no process can be started.
        """
        program = self.program
        try:
            self._process = spawn(program.argv, env=program.env, log=program.log, cwd=program.cwd)
        except OSError as error:
            where = error.filename or program.name
            raise UserError(f"cannot start {program.name}: {where}: {error.strerror}") from error
        self._started_at_s = time.monotonic()
        self._start_at_s = None

    def wait_ready(self, give_up: threading.Event) -> None:
        """Return when it answers.

        Args:
            give_up: Ends the wait early when set.

        Raises:
            UserError: It ended or doesn't answer; names its last log line and its log.
            KeyboardInterrupt: `give_up` was set.
        """
        deadline_s = time.monotonic() + self.program.ready_within_s
        while True:
            answered = self._answers()
            # otherwise another process answered
            if self._process is None or self._process.poll() is not None:
                raise UserError(f"{self.program.name} ended at its start: {self._last_words()}")
            if answered:
                return
            if time.monotonic() > deadline_s:
                raise UserError(f"{self.program.name} does not answer: {self._last_words()}")
            if give_up.wait(LOOK_AGAIN_S):
                raise KeyboardInterrupt

    def look(self) -> str | None:
        """Restart it after a backoff if it died; return a line if something happened."""
        if self._start_at_s is not None:
            return self._start_again() if time.monotonic() >= self._start_at_s else None
        if self._process is None or self._process.poll() is None:
            return None
        return self._plan_restart(self._process)

    def _plan_restart(self, ended: subprocess.Popen[bytes]) -> str:
        now_s = time.monotonic()
        if now_s - self._started_at_s > _HEALTHY_AFTER_S:
            self._deaths = 0
        delay_s = self._backoff_s()
        self._start_at_s = now_s + delay_s
        self._deaths += 1
        _signal_group(ended.pid, signal.SIGKILL)  # ends what it left behind
        self._process = None
        return f"{self.program.name} {_how(ended.returncode)}, starting it again in {delay_s:.1f} s"

    def _start_again(self) -> str:
        try:
            self.start()
        except UserError as error:
            self._start_at_s = time.monotonic() + self._backoff_s()
            return str(error)
        return f"{self.program.name} started again"

    def _backoff_s(self) -> float:
        base_s, cap_s = _FIRST_BACKOFF_S, _LONGEST_BACKOFF_S
        return backoff_s(self._deaths, base_s=base_s, cap_s=cap_s, jitter=NO_JITTER)

    def terminate(self) -> None:
        """Send SIGTERM and don't restart it."""
        self._start_at_s = None
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGTERM)

    def wait_ended(self, hurried: threading.Event) -> None:
        """Wait until it ended; kill its group if it takes too long or `hurried` is set."""
        if self._process is None:
            return
        deadline_s = time.monotonic() + self.program.stop_within_s
        while self._process.poll() is None:
            if hurried.wait(LOOK_AGAIN_S) or time.monotonic() > deadline_s:
                log.warning("%s did not end in time and was killed", self.program.name)
                break
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the rest of its group, and reap it."""
        self._start_at_s = None
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        if self.program.answers is None:
            return True
        try:
            return self.program.answers()
        except OSError:
            return False

    def _last_words(self) -> str:
        path = self.program.log
        lines = path.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"{lines[-1].strip()[:300]} (its log: {path})"


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # already ended; macOS reports EPERM for a zombie
        return


def _how(returncode: int) -> str:
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"

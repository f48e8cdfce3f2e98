"""Run several gateway processes on one port: start them, replace those that end, and stop them.

All accept from one socket (`shared_accept.py`), which this process never accepts from. So none is
refused while a process is replaced. With SO_REUSEPORT each process would have a queue of its own,
and the connections in it would be reset when that process ends.

Each child is a fresh interpreter, because database connections must not be shared by a fork. Two
pipes connect it to this process. Into the first it writes a byte when it serves; the end of that
pipe is the child's end. The second is never written to; its end is the end of this process, however
that came about, and then the child lets its requests finish and ends (`child_process.py`).
"""

import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from typing import Final

from gateway.shared_accept import ConnectionCounts
from tasks.backoff import NO_JITTER, backoff_s

__all__ = ["STOP_GRACE_S", "GatewayProcesses", "Inherited"]

log = logging.getLogger(__name__)

#: Seconds in which requests may finish after SIGTERM.
STOP_GRACE_S: Final = 10

#: Seconds after SIGTERM in which a process has to end.
STOP_WITHIN_S: Final = STOP_GRACE_S + 5.0

#: A process that ran this long is replaced at once when it ends.
HEALTHY_AFTER_S: Final = 10.0
FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 10.0

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Inherited:
    """The descriptors that a child inherits, as one word of its command line.

    Attributes:
        listener: the socket that all processes accept from.
        ready: the child writes a byte when it serves.
        parent: reading it ends when the parent has ended.
        counts: a file that all map, of `ConnectionCounts`.
        place: the number of this process in it.
    """

    listener: int
    ready: int
    parent: int
    counts: int
    place: int

    def __str__(self) -> str:
        return ",".join(map(str, astuple(self)))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Return what has to be passed on."""
        return self.listener, self.ready, self.parent, self.counts

    @classmethod
    def read(cls, word: str) -> "Inherited":
        """Return the descriptors that `str` has written.

        Raises:
            ValueError: it has another form.
        """
        listener, ready, parent, counts, place = map(int, word.split(","))
        return cls(listener, ready, parent, counts, place)


@dataclass(slots=True)
class _Place:
    """One of the processes, and its replacements.

    Attributes:
        number: its number.
        process: the one that runs.
        ready: the reading end of its pipe.
        serves: it has written its byte.
        started_s: when it was started.
        start_s: when to start the next one, if none runs.
        short_lives: how many ended in a row soon after their start.
    """

    number: int
    process: subprocess.Popen[bytes] | None = None
    ready: int = -1
    serves: bool = False
    started_s: float = 0.0
    start_s: float | None = None
    short_lives: int = 0


class GatewayProcesses:
    """Keep a number of processes serving one socket until a signal ends them.

    Args:
        command: starts one process; the word for `Inherited.read` is added.
        count: how many.
        listener: the socket; it is closed when the processes are to stop.
    """

    def __init__(self, command: Sequence[str], *, count: int, listener: socket.socket) -> None:
        self._command = command
        self._places = [_Place(number) for number in range(count)]
        self._listener = listener
        self._counts_file = ConnectionCounts.file(count)
        self._counts = ConnectionCounts(self._counts_file)
        self._selector = selectors.DefaultSelector()
        self._parent_ends = -1, -1
        self._all_served = False
        self._status = 0
        self._kill_at_s: float | None = None

    def run(self, on_ready: Callable[[], object]) -> int:
        """Run until SIGTERM or SIGINT, then let requests finish; a second signal kills at once.

        The first process starts alone: what stops it would stop the others as well, and is then
        reported once.

        Args:
            on_ready: called once, when all processes serve.

        Returns:
            0 after a signal. If a process ended before all had served: its exit status, or the
            negative number of the signal that killed it.
        """
        self._parent_ends = os.pipe()
        try:
            with self._signals():
                self._start(self._places[0])
                while self._is_running():
                    self._round(on_ready)
        finally:
            self._signal(signal.SIGKILL)
            self._selector.close()
            self._counts_file.close()
            for end in self._parent_ends:
                os.close(end)
        return self._status

    def _is_running(self) -> bool:
        return self._kill_at_s is None or any(place.process for place in self._places)

    def _round(self, on_ready: Callable[[], object]) -> None:
        """Wait for the next event, and do what follows from it."""
        events = self._selector.select(self._wait_s())
        for key, _ in events:
            if key.data is None:
                self._take_signals(key.fd)
        for key, _ in events:
            if isinstance(key.data, _Place):
                self._read(key.data, on_ready)
        now_s = time.monotonic()
        if self._kill_at_s is None:
            for place in self._places:
                if place.start_s is not None and now_s >= place.start_s:
                    self._start(place)
        elif now_s >= self._kill_at_s:
            log.warning("gateway processes did not end in time and are killed")
            self._signal(signal.SIGKILL)
            self._kill_at_s = now_s + STOP_WITHIN_S

    def _wait_s(self) -> float | None:
        """Return the seconds until something is due; None if only an event can follow."""
        if self._kill_at_s is not None:
            due_s = [self._kill_at_s]
        else:
            due_s = [place.start_s for place in self._places if place.start_s is not None]
        return max(0.0, min(due_s) - time.monotonic()) if due_s else None

    def _start(self, place: _Place) -> None:
        place.start_s, place.serves, place.started_s = None, False, time.monotonic()
        try:
            place.process, place.ready = self._started(place.number)
        except OSError as error:  # this machine can start no process now
            log.error("no gateway process can be started: %s", error.strerror)  # noqa: TRY400 - says all
            self._note_end(place, "could not be started", status=1)
            return
        self._selector.register(place.ready, selectors.EVENT_READ, place)

    def _started(self, number: int) -> tuple[subprocess.Popen[bytes], int]:
        """Start a process; return it and the reading end of its pipe."""
        ready, childs_end = os.pipe()
        listener, counts = self._listener.fileno(), self._counts_file.fileno()
        given = Inherited(listener, childs_end, self._parent_ends[0], counts, number)
        try:
            process = subprocess.Popen(
                [*self._command, str(given)],
                stdin=subprocess.DEVNULL,
                pass_fds=given.descriptors,
            )
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(childs_end)
        return process, ready

    def _read(self, place: _Place, on_ready: Callable[[], object]) -> None:
        """Note that a process serves, or that it has ended."""
        if os.read(place.ready, 1):
            place.serves = True
            if not self._all_served and self._kill_at_s is None:
                self._go_on_starting(on_ready)
            return
        self._selector.unregister(place.ready)
        os.close(place.ready)
        self._counts.note_absent(place.number)
        process, place.process = place.process, None
        if process is not None:
            status = process.wait()
            self._note_end(place, _how(status), status=status)

    def _go_on_starting(self, on_ready: Callable[[], object]) -> None:
        for place in self._places:
            if self._kill_at_s is not None:  # one could not be started
                return
            if place.process is None and place.start_s is None:
                self._start(place)
        if all(place.serves for place in self._places):
            self._all_served = True
            on_ready()

    def _note_end(self, place: _Place, how: str, *, status: int) -> None:
        """Plan the replacement of a process that ended; at the first start, stop instead."""
        if self._kill_at_s is not None:
            return
        if not self._all_served:
            self._status = status or 1
            self._stop()
            return
        now_s = time.monotonic()
        if now_s - place.started_s >= HEALTHY_AFTER_S:
            place.short_lives = 0
        wait_s = 0.0
        if place.short_lives:
            base_s, cap_s = FIRST_BACKOFF_S, LONGEST_BACKOFF_S
            earlier = place.short_lives - 1
            wait_s = backoff_s(earlier, base_s=base_s, cap_s=cap_s, jitter=NO_JITTER)
        place.short_lives += 1
        place.start_s = now_s + wait_s
        log.warning("a gateway process %s; another one is started in %g s", how, wait_s)

    def _take_signals(self, woken: int) -> None:
        for _ in os.read(woken, 100):
            if self._kill_at_s is None:
                self._stop()
            else:
                self._signal(signal.SIGKILL)

    def _stop(self) -> None:
        """Have all processes finish their requests; new connections are refused."""
        self._kill_at_s = time.monotonic() + STOP_WITHIN_S
        self._listener.close()
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None:
                with suppress(ProcessLookupError):
                    place.process.send_signal(number)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let signals end the wait for events."""
        woken, wakes = socket.socketpair()
        woken.settimeout(0)
        wakes.settimeout(0)
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        earlier_fd = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        try:
            yield
        finally:
            signal.set_wakeup_fd(earlier_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            woken.close()
            wakes.close()


def _how(status: int) -> str:
    if status < 0:
        names = {each.value: each.name for each in signal.Signals}
        return f"was killed by {names.get(-status, f'signal {-status}')}"  # not all have a name
    return f"ended with status {status}"

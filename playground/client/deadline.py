"""Enforce a call's total deadline, so that a trickling response cannot hold a slot indefinitely.

Read timeouts only limit the silence between two bytes. So every call has a deadline at which its
socket is shut down by another thread: one watchdog thread serves all calls of a client. A
`CallClock` also records the one fact that decides about money: was the whole request sent?
"""

import heapq
import itertools
import socket
import threading
import time
from contextlib import suppress
from typing import Final


class DeadlinePassed(TimeoutError):
    """A call's total deadline passed while it was being prepared."""


class CallClock:
    """One call's deadline, its socket while it has one, and how far the call got.

    Args:
        total_s: seconds from now until the call is cut.
    """

    __slots__ = ("_deadline", "_lock", "_sock", "expired", "sent")

    def __init__(self, total_s: float) -> None:
        self._deadline = time.monotonic() + total_s
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self.expired = False
        self.sent = False

    @property
    def deadline(self) -> float:
        """The time of the cut, on the monotonic clock."""
        return self._deadline

    def remaining_s(self) -> float:
        """Seconds left, at least a millisecond: a timeout of 0 would mean "don't wait"."""
        return max(self._deadline - time.monotonic(), 0.001)

    def watch(self, sock: socket.socket | None) -> None:
        """Record the socket that the call now uses.

        Raises:
            DeadlinePassed: the deadline has passed already.
        """
        with self._lock:
            self._sock = sock
            if self.expired or time.monotonic() >= self._deadline:
                self.expired = True
                raise DeadlinePassed("the call's total deadline has passed")

    def detach(self) -> bool:
        """Drop the socket, so that it may serve another call; return False if it was cut."""
        with self._lock:
            self._sock = None
            return not self.expired

    def cut(self) -> None:
        """End the call now: the thread that waits on its socket wakes up."""
        with self._lock:
            if self._sock is None:
                return
            self.expired = True
            _shut_down(self._sock)


class Watchdog:
    """Cut calls at their deadlines, in one thread that starts with the first call."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, CallClock]] = []
        self._order: Final = itertools.count()
        self._changed: Final = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def guard(self, clock: CallClock) -> None:
        """Cut this call at its deadline, unless it has dropped its socket by then.

        Raises:
            RuntimeError: the process cannot start another thread; the call must not be sent.
        """
        with self._changed:
            self._start_if_needed()
            heapq.heappush(self._due, (clock.deadline, next(self._order), clock))
            if self._due[0][2] is clock:
                self._changed.notify()

    def stop(self) -> None:
        """End the thread; only read timeouts limit the calls that are still open."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=5)

    def _start_if_needed(self) -> None:
        if self._thread is None and not self._stopped:
            thread = threading.Thread(target=self._run, name="playground-deadlines", daemon=True)
            thread.start()
            self._thread = thread  # only if it runs: the next call tries again

    def _run(self) -> None:
        while (clock := self._next_due()) is not None:
            clock.cut()

    def _next_due(self) -> CallClock | None:
        """Wait for the next deadline; None when stopped."""
        with self._changed:
            while not self._stopped:
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait_s)
        return None


def _shut_down(sock: object) -> None:
    """Shut down the TCP connection while another thread may be reading from it.

    TLS inside TLS hides the socket one level deeper. The plain socket's own method is called on
    purpose. That of `ssl.SSLSocket` first drops the encryption, and a thread that is about to write
    would write in clear.
    """
    plain = sock if isinstance(sock, socket.socket) else getattr(sock, "socket", None)
    if isinstance(plain, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(plain, socket.SHUT_RDWR)

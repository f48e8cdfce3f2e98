"""When this process may start its next call.

Fed from what the whole fleet shares (is it paused, held, slowed down?) and from the process's own
answers, which it acts upon at once. Executor threads enter here before a claim and leave when
the call is over; whoever may not enter yet waits.
"""

import threading
import time
from collections.abc import Callable

from storage.fleet.pause import PauseKind
from storage.fleet.state import FleetState

__all__ = ["CallGate"]


class CallGate:
    """A gate in front of calls.

    Args:
        concurrency: calls in flight at full speed.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting = 0
        self._share = 1.0
        self._held_until = 0.0
        self._alive_until = float("inf")
        self._is_paused = False
        self._is_shut = False
        self._turns_away = False
        self._probes = 0
        self._on_taken: Callable[[], object] = _nothing
        self._is_stopped = False

    @property
    def inside(self) -> int:
        """Calls that have their turn."""
        return self._inside

    @property
    def is_alive(self) -> bool:
        """Whether the lease still runs, as far as this process knows."""
        return time.monotonic() < self._alive_until

    @property
    def is_paused(self) -> bool:
        """Whether the fleet or this worker is paused: what enters now is a probe."""
        return self._is_paused or self._is_shut

    @property
    def turns_away(self) -> bool:
        """Whether a job that comes now is to be handed back instead of waiting here."""
        return self._turns_away and not self._probes

    @property
    def has_waiting(self) -> bool:
        """Whether a job waits here for its call to start."""
        return self._waiting > 0

    @property
    def has_probe(self) -> bool:
        """Whether a probe was allowed and no call has taken it yet."""
        return self._probes > 0

    @property
    def is_held(self) -> bool:
        """Whether no call may start for some seconds."""
        return time.monotonic() < self._held_until

    def enter(self) -> bool:
        """Wait until a call may start and take its place; False when none will start here."""
        while self.wait_until_open():
            if self.try_enter():
                return True
        return False

    def wait_until_open(self) -> bool:
        """Wait until a call may start, without taking its place.

        Returns:
            False when none will start here: the process stops, or the worker has paused itself and
            its jobs are for other workers.
        """
        with self._changed:
            while not self._is_stopped:
                wait_s = self._wait_s()
                if wait_s == 0:
                    return True
                if self.turns_away:
                    return False
                self._waiting += 1
                try:
                    self._changed.wait(wait_s)
                finally:
                    self._waiting -= 1
            return False

    def try_enter(self) -> bool:
        """Take a call's place if it may start now; what it had to wait for may have taken long."""
        with self._changed:
            if self._is_stopped or self._wait_s() != 0:
                return False
            is_probe = self._is_paused or self._is_shut
            if is_probe:
                self._probes -= 1
                self._changed.notify_all()  # jobs that waited for the probe are handed back
            self._inside += 1
        if is_probe:
            self._on_taken()
        return True

    def leave(self) -> None:
        """The call has ended, or never began."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def hold(self, seconds: float) -> None:
        """Start no call for this long; a longer hold already in force stays."""
        with self._changed:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def follow(self, state: FleetState) -> None:
        """Do as the fleet does."""
        with self._changed:
            self._share = state.share
            self._is_paused = state.pause is not None
            may_probe = state.pause is None or state.pause.kind is PauseKind.BREAKER
            if not may_probe or not (self._is_paused or self._is_shut):
                self._probes = 0
            if state.held_s:
                self._held_until = max(self._held_until, time.monotonic() + state.held_s)
            self._changed.notify_all()

    def shut(self, *, turn_away: bool = False) -> None:
        """Start no call, whatever the fleet does; a probe that was allowed stays allowed.

        Args:
            turn_away: whether jobs that wait here are handed back instead of waiting on.
        """
        with self._changed:
            self._is_shut, self._turns_away = True, turn_away
            self._changed.notify_all()

    def open(self) -> None:
        """Start calls again, as far as the fleet lets them."""
        with self._changed:
            self._is_shut = self._turns_away = False
            self._probes = 0
            self._changed.notify_all()

    def let_one_through(self, *, on_taken: Callable[[], object] | None = None) -> None:
        """Allow a single call although the fleet or this worker is paused: the probe.

        Args:
            on_taken: called when a call has taken it. Must not block.
        """
        with self._changed:
            self._probes = 1
            self._on_taken = on_taken or _nothing
            self._changed.notify_all()

    def take_probe_back(self) -> None:
        """Allow no probe, if none has been taken yet."""
        with self._changed:
            self._probes = 0
            self._changed.notify_all()

    def alive_for(self, seconds: float) -> None:
        """The lease was renewed: without the next renewal, no call starts after this long.

        A process that was stopped and woken must not call before it knows that it is alive.
        """
        with self._changed:
            self._alive_until = time.monotonic() + seconds
            self._changed.notify_all()

    def stop(self) -> None:
        """Wake every waiting thread: no further call starts."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _wait_s(self) -> float | None:
        """Seconds until it is worth looking again; 0 to go now, None until something changes."""
        now = time.monotonic()
        if now >= self._alive_until:
            return None
        if (self._is_paused or self._is_shut) and not self._probes:
            return None
        if now < self._held_until:
            return self._held_until - now
        if self._inside >= max(1, int(self._share * self._concurrency)):
            return None
        return 0


def _nothing() -> None:
    """Do nothing."""

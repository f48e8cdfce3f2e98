"""Decide when this process may start its next call.

The gate follows the state that the whole fleet shares (paused, held, throttled). It also acts at
once on the answers that this process receives. An executor thread enters the gate before a claim,
waits there if no call may start, and leaves when the call is over.
"""

import threading
import time
from collections.abc import Callable

from storage.fleet.pause import PauseKind
from storage.fleet.state import FleetState

__all__ = ["CallGate"]


class CallGate:
    """Admit calls of one process, within its concurrency and the fleet's state.

    Args:
        concurrency: the most calls in flight while the fleet is not throttled.
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
        self._hands_back = False
        self._probes = 0
        self._on_probe_used: Callable[[], object] = _nothing
        self._is_stopped = False

    @property
    def inside(self) -> int:
        """Return the number of call slots in use."""
        return self._inside

    @property
    def is_alive(self) -> bool:
        """Return whether the lease is valid, as far as this process knows."""
        return time.monotonic() < self._alive_until

    @property
    def is_paused(self) -> bool:
        """Return whether the fleet or this worker is paused: a call that enters now is a probe."""
        return self._is_paused or self._is_shut

    @property
    def hands_back(self) -> bool:
        """Return whether a job that arrives now must be handed back instead of waiting here."""
        return self._hands_back and not self._probes

    @property
    def has_waiting(self) -> bool:
        """Return whether a job waits here for its call to start."""
        return self._waiting > 0

    @property
    def has_probe(self) -> bool:
        """Return whether a probe is allowed and no call has used it yet."""
        return self._probes > 0

    @property
    def is_held(self) -> bool:
        """Return whether a hold is in force, in which no call may start."""
        return time.monotonic() < self._held_until

    def enter(self) -> bool:
        """Wait until a call may start and take a slot; return False if none will start here."""
        while self.wait_until_open():
            if self.try_enter():
                return True
        return False

    def wait_until_open(self) -> bool:
        """Wait until a call may start, without taking a slot.

        Returns:
            False if no call will start here: the process stops, or the worker has paused itself and
            its jobs are left to other workers.
        """
        with self._changed:
            while not self._is_stopped:
                wait_s = self._wait_s()
                if wait_s == 0:
                    return True
                if self.hands_back:
                    return False
                self._waiting += 1
                try:
                    self._changed.wait(wait_s)
                finally:
                    self._waiting -= 1
            return False

    def try_enter(self) -> bool:
        """Take a slot if a call may start; the state may have changed since `wait_until_open`."""
        with self._changed:
            if self._is_stopped or self._wait_s() != 0:
                return False
            is_probe = self.is_paused
            if is_probe:
                self._probes -= 1
                self._changed.notify_all()  # jobs that waited for the probe are handed back
            self._inside += 1
        if is_probe:
            self._on_probe_used()
        return True

    def leave(self) -> None:
        """Release a slot: the call has ended, or was never sent."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def hold(self, seconds: float) -> None:
        """Start no call for so many seconds; a longer hold that is in force stays."""
        with self._changed:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def follow(self, state: FleetState) -> None:
        """Apply the state of the fleet: its throttle, pause and hold."""
        with self._changed:
            self._share = state.share
            self._is_paused = state.pause is not None
            may_probe = state.pause is None or state.pause.kind is PauseKind.BREAKER
            if not may_probe or not self.is_paused:
                self._probes = 0
            if state.held_s:
                self._held_until = max(self._held_until, time.monotonic() + state.held_s)
            self._changed.notify_all()

    def shut(self, *, hand_back: bool = False) -> None:
        """Start no call, whatever the fleet's state; a probe that was allowed stays allowed.

        Args:
            hand_back: whether jobs that wait here are handed back instead of waiting longer.
        """
        with self._changed:
            self._is_shut, self._hands_back = True, hand_back
            self._changed.notify_all()

    def open(self) -> None:
        """Start calls again, within the state of the fleet."""
        with self._changed:
            self._is_shut = self._hands_back = False
            self._probes = 0
            self._changed.notify_all()

    def allow_probe(self, *, on_probe_used: Callable[[], object] | None = None) -> None:
        """Allow one call, the probe, although the fleet or this worker is paused.

        Args:
            on_probe_used: called when a call has used the probe. Must not block.
        """
        with self._changed:
            self._probes = 1
            self._on_probe_used = on_probe_used or _nothing
            self._changed.notify_all()

    def withdraw_probe(self) -> None:
        """Withdraw the probe, if no call has used it yet."""
        with self._changed:
            self._probes = 0
            self._changed.notify_all()

    def alive_for(self, seconds: float) -> None:
        """Note a renewed lease: no call starts after so many seconds without another renewal.

        A process that was suspended must not send a call before it has renewed its lease.
        """
        with self._changed:
            self._alive_until = time.monotonic() + seconds
            self._changed.notify_all()

    def stop(self) -> None:
        """Start no further call, and wake every waiting thread."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _wait_s(self) -> float | None:
        """Return the seconds to wait; 0 if a call may start, None to wait for a change."""
        now = time.monotonic()
        if now >= self._alive_until:
            return None
        if self.is_paused and not self._probes:
            return None
        if now < self._held_until:
            return self._held_until - now
        if self._inside >= max(1, int(self._share * self._concurrency)):
            return None
        return 0


def _nothing() -> None:
    """Do nothing."""

"""Keep all threads of a worker on one core, unless other processes need that core.

The interpreter's lock (GIL) lets one thread run at a time. With several cores, a thread that
releases the lock for a system call of microseconds finds it taken afterwards. Another thread was
woken on another core, with cold caches, and the first thread sleeps until it is woken again. On one
core no other thread runs in those microseconds.

The threads then also share that core for work outside the lock, above all hashing. Still a worker
that fills one core delivers as much as one that has all cores. Over TLS, where an answer takes a
hundred such calls, it delivers more.

Gain: in an earlier run, a worker whose threads the kernel placed used 1.60 times the CPU per image.
`python -m benchmarks --only paths` measures it again; docs/performance.md has the conditions.

Fallback: the kernel places the threads. It does so if only one core is allowed, the platform cannot
bind threads, another program has set the affinity, or `DARKROOM_CPU_AFFINITY=off`.
"""

import logging
import os
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tasks.background import BackgroundLoop, OnError
from workers.core_load import CoreLoad, OwnLoad

__all__ = ["CpuAffinity"]

log = logging.getLogger(__name__)

EVERY_S = 1.0

#: A worker that uses less than this part of a core gains nothing from staying on one.
MIN_LOAD = 0.1

#: When a worker moves to another core: if other processes used this much more of its core than of
#: the other one, in this many readings in a row. If its core is full, the worker gets less than it
#: needs, and a smaller difference is enough: otherwise two workers that share a core would stay
#: there, because the kernel may not move them.
MORE = 0.3
MORE_WHERE_FULL = 0.1
FULL = 0.97
LOOKS = 3

#: Probability of that move at each reading: of two workers that share a core, one should move.
WILLING = 0.5

#: What an unusual kernel or container may raise here. Affinity only saves CPU.
FAULTS = (OSError, ValueError, LookupError)

_THREADS = Path("/proc/self/task")


class CpuAffinity:
    """Keep this process on the least busy core, or let it use all allowed cores.

    Args:
        load: returns how busy each core was since the previous call.
        used: returns what part of a core this process used since the previous call.
    """

    def __init__(
        self,
        load: Callable[[], Mapping[int, float]] | None = None,
        used: Callable[[], float] | None = None,
    ) -> None:
        self._load = load or CoreLoad().since_last
        self._used = used or OwnLoad().since_last
        self._allowed = _allowed()
        self._core: int | None = None
        self._crowded_looks = 0
        # At the end all threads may use all allowed cores again: a drain may need them, and a
        # process that replaces this one inherits them.
        self.loop = BackgroundLoop(
            "one-core",
            self._look_or_end,
            every_s=EVERY_S,
            on_error=OnError(log, "choosing a core failed"),
            at_end=self._spread_if_possible,
        )

    def look(self) -> None:
        """Choose, keep or give up a core, by the load since the last reading.

        Raises:
            OSError: the kernel does not let this process choose its cores.
        """
        used, loads = self._used(), self._load()
        if self._core is None:
            self._allowed = _allowed()
            allowed_loads = {core: load for core, load in loads.items() if core in self._allowed}
            if used >= MIN_LOAD and len(allowed_loads) > 1:
                self._stay_on(_idlest(allowed_loads))
        elif _allowed() != {self._core}:
            self._core = None  # another program has set the affinity; it stays
        else:
            self._leave_if_crowded(self._core, used, loads)

    def _look_or_end(self) -> None:
        """Choose a core; end the loop if only one is allowed or the kernel forbids the choice."""
        try:
            if len(self._allowed) > 1:
                self.look()
            else:
                self.loop.end()
        except FAULTS as error:
            if self._core is None:
                self.loop.end()
                _note_end(error)
            else:
                log.debug("reading the cores' load failed", exc_info=True)

    def _spread_if_possible(self) -> None:
        try:
            self._spread()
        except FAULTS as error:
            _note_end(error)

    def _leave_if_crowded(self, core: int, used: float, loads: Mapping[int, float]) -> None:
        elsewhere = {other: loads[other] for other in self._allowed - {core} if other in loads}
        if core not in loads or not elsewhere:
            self._spread()  # cores were added or removed: no comparison
            return
        more = MORE_WHERE_FULL if loads[core] >= FULL else MORE
        is_crowded = loads[core] - used > min(elsewhere.values()) + more
        self._crowded_looks = self._crowded_looks + 1 if is_crowded else 0
        if self._crowded_looks >= LOOKS and random.random() < WILLING:  # noqa: S311 - as below
            self._stay_on(_idlest(elsewhere))

    def _stay_on(self, core: int) -> None:
        try:
            _set_cores_of_all_threads({core})
        except OSError:
            with suppress(OSError):  # threads must not be split over two sets
                _set_cores_of_all_threads(self._allowed)
            raise
        self._core, self._crowded_looks = core, 0
        log.debug("all threads run on core %d", core)

    def _spread(self) -> None:
        if self._core is None:
            return
        _set_cores_of_all_threads(self._allowed)
        self._core = None
        log.debug("threads run on all cores")


def _note_end(error: Exception) -> None:
    log.info("threads run on all cores: %s", error)


def _idlest(loads: Mapping[int, float]) -> int:
    """Return one of the least busy cores, at random: workers that start together must spread."""
    return min(loads, key=lambda core: (round(loads[core], 1), random.random()))  # noqa: S311 - spreads workers, guards nothing


def _allowed() -> set[int]:
    """Return the cores this process may use; an empty set if the platform cannot report them."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _set_cores_of_all_threads(cores: set[int]) -> None:
    """Set the cores of all threads.

    A new thread inherits the cores of the thread that starts it. So repeat until no new one exists.
    """
    done: set[str] = set()
    while found := {thread.name for thread in _THREADS.iterdir()} - done:
        for thread in found:
            with suppress(ProcessLookupError):  # the thread has ended since
                os.sched_setaffinity(int(thread), cores)
        done |= found

"""One core for all threads of a worker, unless others need it.

The interpreter lets one thread run at a time. Where there are several cores, a thread that lets go
of it for a system call of microseconds finds it taken: another one was waked on another core, with
cold caches, and the first goes to sleep until it is waked in turn. On one core nobody else gets to
run in those microseconds. What threads do beside the interpreter, hashing above all, then has to
share that core too, and still a worker that fills it delivers as much as one that has them all,
and more over TLS, where an answer is a hundred such calls.
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from workers.core_load import CoreLoad, OwnLoad

__all__ = ["CpuAffinity"]

log = logging.getLogger(__name__)

EVERY_S = 1.0

#: A worker that needs less than this part of a core has nothing to gain.
WORTHWHILE = 0.1

#: A core of which others use this much more than of another one, so many looks in a row, is left
#: for that one. Where it is full, and we get less of it than we would, a smaller difference is
#: enough: two workers that share a core stay there else, as the kernel may not move them.
MORE = 0.3
MORE_WHERE_FULL = 0.1
FULL = 0.97
LOOKS = 3

#: How likely it is left then, at each look: of two workers that share it, one should go.
WILLING = 0.5

_THREADS = Path("/proc/self/task")


class CpuAffinity:
    """Keeps this process on the core that has most room, or lets it have all.

    Args:
        load: how busy each core was since it was last asked.
        used: what part of a core this process used since it was last asked.
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

    def run(self, stopping: threading.Event) -> None:
        """Look once a second, until the process stops; where there is no choice, not at all.

        In the end all threads get back what they had: a drain may need it, and a process that
        takes this one's place would inherit it.
        """
        try:
            while len(self._allowed) > 1 and not stopping.wait(EVERY_S):
                self._look_again()
            self._spread()
        except (OSError, ValueError, LookupError) as error:  # it would only have saved some CPU
            log.info("threads run wherever the kernel puts them: %s", error)

    def look(self) -> None:
        """Take a core, or give it up, by what has happened since the last look.

        Raises:
            OSError: the kernel does not let this process choose.
        """
        used, loads = self._used(), self._load()
        if self._core is None:
            self._allowed = _allowed()
            rooms = {core: load for core, load in loads.items() if core in self._allowed}
            if used >= WORTHWHILE and len(rooms) > 1:
                self._stay_on(_idlest(rooms))
        elif _allowed() != {self._core}:
            self._core = None  # somebody else has moved us, and knows why
        else:
            self._leave_if_crowded(self._core, used, loads)

    def _look_again(self) -> None:
        try:
            self.look()
        except (OSError, ValueError, LookupError):
            if self._core is None:
                raise
            log.debug("a look at the cores failed", exc_info=True)

    def _leave_if_crowded(self, core: int, used: float, loads: Mapping[int, float]) -> None:
        elsewhere = {other: loads[other] for other in self._allowed - {core} if other in loads}
        if core not in loads or not elsewhere:
            self._spread()  # cores have come or gone: nobody can compare
            return
        more = MORE_WHERE_FULL if loads[core] >= FULL else MORE
        is_crowded = loads[core] - used > min(elsewhere.values()) + more
        self._crowded_looks = self._crowded_looks + 1 if is_crowded else 0
        if self._crowded_looks >= LOOKS and random.random() < WILLING:  # noqa: S311 - as below
            self._stay_on(_idlest(elsewhere))

    def _stay_on(self, core: int) -> None:
        try:
            _let_all_threads_run_on({core})
        except OSError:
            with suppress(OSError):  # not one half here and one half there
                _let_all_threads_run_on(self._allowed)
            raise
        self._core, self._crowded_looks = core, 0
        log.debug("all threads stay on core %d", core)

    def _spread(self) -> None:
        if self._core is None:
            return
        _let_all_threads_run_on(self._allowed)
        self._core = None
        log.debug("threads run wherever the kernel puts them")


def _idlest(loads: Mapping[int, float]) -> int:
    """One of the cores with most room: workers that start together must not all take the same."""
    return min(loads, key=lambda core: (round(loads[core], 1), random.random()))  # noqa: S311 - spreads workers, guards nothing


def _allowed() -> set[int]:
    """The cores that whoever started this process has left to it; none where nobody can say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _let_all_threads_run_on(cores: set[int]) -> None:
    """Threads to come follow the one that starts them, so look until there is no new one."""
    done: set[str] = set()
    while found := {thread.name for thread in _THREADS.iterdir()} - done:
        for thread in found:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread), cores)
        done |= found

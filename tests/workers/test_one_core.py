"""A worker's threads share a core, unless others need it."""

import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from darkroom.settings import load_settings
from darkroom.wiring.worker import WorkerWiring
from workers.cpu_affinity import LOOKS, WILLING, CpuAffinity, _set_cores_of_all_threads

if not hasattr(os, "sched_setaffinity"):
    pytest.skip("only Linux lets a process choose its cores", allow_module_level=True)

ALLOWED = frozenset(os.sched_getaffinity(0))
pytestmark = pytest.mark.skipif(len(ALLOWED) < 2, reason="there is one core only")
ONE, OTHER = [*sorted(ALLOWED), 0, 0][:2]


@pytest.fixture(autouse=True)
def _all_cores_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("workers.cpu_affinity.random.random", lambda: 0.0)
    yield
    _set_cores_of_all_threads(set(ALLOWED))


class Machine:
    """What a worker sees of the machine and of itself."""

    def __init__(self, *, busy: Mapping[int, float], used: float = 0.3) -> None:
        self.busy = dict.fromkeys(ALLOWED, 0.9) | dict(busy)
        self.used = used

    def one_core(self) -> CpuAffinity:
        """What is tested."""
        return CpuAffinity(lambda: self.busy, lambda: self.used)

    def settled(self) -> CpuAffinity:
        """One that has looked once, and taken the core with most room."""
        one_core = self.one_core()
        one_core.look()
        return one_core


def places() -> set[frozenset[int]]:
    """Where this process's threads may run."""
    found = set()
    for path in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            found.add(frozenset(os.sched_getaffinity(int(path.name))))
    return found


def test_all_threads_of_a_busy_worker_stay_on_the_core_with_most_room() -> None:
    """Those that run already, and those that start later."""
    ending = threading.Event()
    threads = [threading.Thread(target=ending.wait, args=[30]) for _ in range(8)]
    for thread in threads[:4]:
        thread.start()
    Machine(busy={ONE: 0.5, OTHER: 0.2}).one_core().look()
    for thread in threads[4:]:
        thread.start()
    assert places() == {frozenset({OTHER})}
    ending.set()
    for thread in threads:
        thread.join()


def test_a_worker_that_does_next_to_nothing_stays_where_it_is() -> None:
    """It would have nothing of it, and be in the way."""
    Machine(busy={ONE: 0.0}, used=0.0).one_core().look()
    assert places() == {ALLOWED}


def test_a_worker_that_fills_its_core_keeps_it() -> None:
    """It would deliver no more with all of them, and at a higher price."""
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    machine.used = 0.95
    machine.busy |= {ONE: 1.0, OTHER: 0.0}
    for _ in range(2 * LOOKS):
        one_core.look()
    assert places() == {frozenset({ONE})}


def test_a_core_that_others_use_more_is_left_for_the_one_with_most_room() -> None:
    """A neighbour may be on it that cannot go."""
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    machine.busy |= {ONE: 0.9, OTHER: 0.2}
    for _ in range(LOOKS - 1):
        one_core.look()
        assert places() == {frozenset({ONE})}
    one_core.look()
    assert places() == {frozenset({OTHER})}


@pytest.mark.parametrize(("chance", "place"), [(0.9 * WILLING, OTHER), (1.1 * WILLING, ONE)])
def test_of_two_workers_on_one_full_core_one_goes(
    monkeypatch: pytest.MonkeyPatch, chance: float, place: int
) -> None:
    """Chance decides which: both would meet again."""
    monkeypatch.setattr("workers.cpu_affinity.random.random", lambda: chance)
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    machine.used = 0.5
    machine.busy |= {ONE: 1.0, OTHER: 0.3}
    for _ in range(2 * LOOKS):
        one_core.look()
    assert places() == {frozenset({place})}


def test_a_core_that_others_use_now_and_then_is_kept() -> None:
    """Their load comes and goes too."""
    machine = Machine(busy={ONE: 0.1, OTHER: 0.2})
    one_core = machine.settled()
    for busy in [0.9, 0.9, 0.5] * 3:
        machine.busy[ONE] = busy
        one_core.look()
    assert places() == {frozenset({ONE})}


def test_a_core_that_all_use_alike_is_kept() -> None:
    """There is no better one."""
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    machine.busy |= dict.fromkeys(ALLOWED, 1.0)
    for _ in range(2 * LOOKS):
        one_core.look()
    assert places() == {frozenset({ONE})}


def test_a_core_that_the_kernel_takes_away_is_given_up() -> None:
    """One that is unplugged is in no account any more."""
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    del machine.busy[ONE]
    for _ in range(LOOKS):
        one_core.look()
    assert places() == {ALLOWED}


def test_whoever_moves_the_worker_is_obeyed() -> None:
    """An operator's `taskset`, or an orchestrator that gives a container other cores."""
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    _set_cores_of_all_threads({OTHER})
    machine.busy[OTHER] = 1.0
    for _ in range(LOOKS + 1):
        one_core.look()
    assert places() == {frozenset({OTHER})}


def test_a_worker_that_stops_has_all_cores_again() -> None:
    """To drain, and because what is started in its place would inherit the one."""
    one_core = Machine(busy={ONE: 0.1}).settled()
    assert places() == {frozenset({ONE})}
    one_core.loop.end()
    one_core.loop.run()
    assert places() == {ALLOWED}


def test_a_kernel_that_cannot_be_asked_for_a_while_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a worker that ran out of descriptors would stay on one core indefinitely."""
    monkeypatch.setattr("workers.cpu_affinity.EVERY_S", 0.0)
    machine = Machine(busy={ONE: 0.1})
    one_core = machine.settled()
    looks: Iterator[Mapping[int, float] | OSError] = iter(
        [OSError(24, "Too many open files"), {}, {}, {}]
    )

    def load() -> Mapping[int, float]:
        found = next(looks, None)
        if isinstance(found, OSError):
            raise found
        if found is None:
            one_core.loop.end()
        return found or {}

    monkeypatch.setattr(one_core, "_load", load)
    one_core.loop.run()
    assert next(looks, None) is None
    assert places() == {ALLOWED}


def test_a_kernel_that_does_not_say_how_busy_its_cores_are_places_the_threads() -> None:
    """A container's view may have other numbers than its cores."""
    CpuAffinity(dict, lambda: 0.3).look()
    assert places() == {ALLOWED}


def test_an_operators_own_choice_of_one_core_is_left_alone() -> None:
    """There is nothing to choose, so the cores are not looked at."""
    os.sched_setaffinity(0, {OTHER})
    one_core = Machine(busy={ONE: 0.0}).one_core()
    one_core.loop.run()  # returns, though nothing stops it
    assert os.sched_getaffinity(0) == {OTHER}


def test_a_kernel_that_forbids_the_choice_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs some CPU and nothing else."""
    monkeypatch.setattr("workers.cpu_affinity.EVERY_S", 0.0)

    def forbidden(_thread: int, _cores: set[int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    caplog.set_level("INFO")
    one_core = Machine(busy={ONE: 0.0}).one_core()
    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_setaffinity", forbidden)
        one_core.loop.run()
    assert caplog.messages == ["threads run on all cores: [Errno 1] Operation not permitted"]


def test_a_move_that_fails_halfway_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is left on a core that is no longer looked at."""
    setaffinity, calls = os.sched_setaffinity, itertools.count()

    def refuse_the_second(thread: int, cores: set[int]) -> None:
        if next(calls) == 1:
            raise OSError(24, "Too many open files")
        setaffinity(thread, cores)

    ending = threading.Event()
    thread = threading.Thread(target=ending.wait, args=[30])
    thread.start()
    monkeypatch.setattr(os, "sched_setaffinity", refuse_the_second)
    with pytest.raises(OSError, match="Too many"):
        Machine(busy={ONE: 0.0}).one_core().look()
    assert places() == {ALLOWED}
    ending.set()
    thread.join()


def test_a_setting_leaves_the_choice_to_the_kernel() -> None:
    """By default Darkroom makes it."""
    assert isinstance(WorkerWiring(load_settings()).one_core, CpuAffinity)
    assert WorkerWiring(load_settings(cpu_affinity="off")).one_core is None

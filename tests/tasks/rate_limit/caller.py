"""A process that calls as fast as its budget lets it, and notes each call where a test can read it.

Started from a fork server that has the libraries loaded: a process costs milliseconds. The clock
is the machine's monotonic one, so that notes of several processes can be laid side by side.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import uuid4

from chaos.fleet.warm import SERVER
from darkroom.settings.addresses import RedisAddress
from tasks.rate_limit.limiter import CallBudget
from tasks.rate_limit.protocol import BudgetLimits
from tasks.rate_limit.redis_limiter import RedisLimiter
from tasks.rate_limit.worker_share import Place, PlaceWatch

PATIENCE_S = 60


@dataclass(frozen=True)
class Fleet:
    """What all callers of a test share."""

    url: str | None
    notes: Path
    per_second: float | None = None
    in_flight: int | None = None
    call_s: float = 0.05
    threads: int = 12
    lease_s: float = 20.0
    lost_claims: int = 0
    """Of each thread's admissions, how many first end as a claim that another worker won."""


def budget_of(fleet: Fleet, place: Place, stopping: threading.Event) -> CallBudget:
    """A started budget, as the wiring would build it."""
    limits = BudgetLimits(fleet.per_second, fleet.in_flight)
    redis_limiter = None
    if fleet.url is not None:
        redis_limiter = RedisLimiter(
            RedisAddress.read(fleet.url).options,
            namespace="darkroom",
            process_id=uuid4(),
            limits=limits,
            lease_s=fleet.lease_s,
        )
    watch = PlaceWatch(lambda: place, every_s=60.0)
    budget = CallBudget(
        limits, watch=watch, redis_limiter=redis_limiter, share_wait_s=0.0, stopping=stopping
    )
    budget.start()
    return budget


def start(fleet: Fleet, place: Place) -> BaseProcess:
    """Start a calling process, which the caller must kill."""
    process = SERVER.Process(target=_call_for_ever, args=(fleet, place), daemon=True)
    process.start()
    return process


def _call_for_ever(fleet: Fleet, place: Place) -> None:
    budget = budget_of(fleet, place, threading.Event())
    notes = os.open(fleet.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for _ in range(fleet.threads):
        threading.Thread(target=_call, args=(fleet, budget, notes), daemon=True).start()
    threading.Event().wait()


def _call(fleet: Fleet, budget: CallBudget, notes: int) -> None:
    lost = fleet.lost_claims
    while (admission := budget.admit()) is not None:
        with admission:
            if lost:
                lost -= 1
                continue
            lost = fleet.lost_claims
            admission.spend()
            _note(notes, "+")
            time.sleep(fleet.call_s)
            _note(notes, "-")


def _note(notes: int, what: str) -> None:
    os.write(notes, f"{os.getpid()} {what} {time.monotonic():.6f}\n".encode())


@dataclass(frozen=True)
class Note:
    """A call of process `pid` began (+1) or ended (-1)."""

    pid: int
    change: int
    at_s: float


def read_notes(fleet: Fleet, *, since_s: float = 0.0) -> list[Note]:
    """All that was noted so far, in the order of time."""
    lines = fleet.notes.read_text().splitlines() if fleet.notes.exists() else []
    fields = [line.split() for line in lines]
    notes = [Note(int(pid), 1 if what == "+" else -1, float(at)) for pid, what, at in fields]
    return sorted((note for note in notes if note.at_s >= since_s), key=lambda note: note.at_s)


def started(
    fleet: Fleet, *, since_s: float = 0.0, until_s: float = math.inf, pid: int | None = None
) -> int:
    """Calls begun, of one process or of all."""
    notes = [note for note in read_notes(fleet, since_s=since_s) if note.at_s <= until_s]
    return sum(note.change > 0 for note in notes if pid in {None, note.pid})


def wait_for_window(fleet: Fleet, calls: int, is_so: Callable[[float, float], bool]) -> bool:
    """Wait until something holds for as long as so many calls take: from when to when.

    On a busy machine a process may stand still for the whole of a window, so the next one counts
    as well: a fleet that shares unfairly does so in every one.
    """
    give_up_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_s:
        since_s = time.monotonic()
        if not wait_for_calls(fleet, calls):
            return False
        if is_so(since_s, time.monotonic()):
            return True
    return False


def reaches(fleet: Fleet, count: int, *, after_s: float = 0.0, dead: tuple[int, ...] = ()) -> bool:
    """Wait until so many calls have been open at once; whether it never was more."""
    give_up_s = time.monotonic() + PATIENCE_S
    while (most := most_in_flight(fleet, after_s=after_s, dead=dead)) < count:
        if time.monotonic() > give_up_s:
            break
        time.sleep(0.05)
    return most == count


def most_in_flight(fleet: Fleet, *, after_s: float = 0.0, dead: tuple[int, ...] = ()) -> int:
    """The most calls that were open at once after a moment, those of dead processes apart."""
    open_now, most = 0, 0
    for note in read_notes(fleet):
        if note.pid not in dead:
            open_now += note.change
            most = max(most, open_now) if note.at_s >= after_s else most
    return most


def wait_for_calls(fleet: Fleet, count: int, *, pid: int | None = None) -> bool:
    """Wait until so many more calls have begun than when this was asked."""
    since_s = time.monotonic()
    while time.monotonic() < since_s + PATIENCE_S:
        if started(fleet, since_s=since_s, pid=pid) >= count:
            return True
        time.sleep(0.02)
    return False

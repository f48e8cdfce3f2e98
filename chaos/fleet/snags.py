"""Make a worker die or stop at a chosen step of a job, by wrapping functions from outside.

Production code has no hooks for this. Before a worker process starts, one function is replaced. The
replacement does the same and then signals its own process. It first records the job's id, so that
the row can check what became of exactly that job.
"""

import functools
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["STEPS", "Snag", "arm"]


@dataclass(frozen=True, slots=True)
class Snag:
    """What happens to a worker, and when.

    Attributes:
        step: one of `STEPS`.
        signal: SIGKILL or SIGSTOP.
        at: at the n-th passing, from 1.
        notes: file that gets a line of JSON just before.
        delay_s: how far into a call it happens, for the step `called`.
    """

    step: str
    signal: signal.Signals
    notes: Path
    at: int = 2
    delay_s: float = 0.1


@dataclass(frozen=True, slots=True)
class _Place:
    """A function, named by its module, and whether the step is before or after it."""

    owner: str
    name: str
    is_before: bool = False


STEPS: dict[str, _Place] = {
    "claimed": _Place("storage.jobs.claim", "claim_if_due"),
    "called": _Place("playground.client.client:PlaygroundClient", "send", is_before=True),
    "image in hand": _Place("storage.spool.spool:Spool", "write", is_before=True),
    "spooled": _Place("storage.spool.spool:Spool", "write"),
    "marked storing": _Place("storage.jobs.finish", "mark_storing_if_held"),
    "put": _Place("storage.objects.store:ObjectStore", "put"),
    "finished": _Place("storage.jobs.finish", "finish_if_held"),
}
"""The steps of a job, in order."""

_here = threading.local()


def arm(snag: Snag) -> None:
    """Make this process signal itself at a step. Call this before the worker is created."""
    importlib.import_module("darkroom.wiring.worker")  # loads every function to be wrapped
    _wrap(STEPS["claimed"], _remember_the_job)
    passings = [0]
    guard = threading.Lock()

    def pass_by(arguments: tuple[Any, ...], result: object) -> bool:
        if not _counts(snag.step, arguments, result):
            return False
        with guard:
            passings[0] += 1
            return passings[0] == snag.at

    _wrap(STEPS[snag.step], lambda original: _with_snag(original, snag, pass_by))


def _with_snag(
    original: Callable[..., Any], snag: Snag, is_time: Callable[[tuple[Any, ...], Any], bool]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def snagged(*arguments: Any, **named: Any) -> Any:
        if STEPS[snag.step].is_before:
            if is_time(arguments, arguments):
                _strike(snag, arguments)
            return original(*arguments, **named)
        result = original(*arguments, **named)
        if is_time(arguments, result):
            _strike(snag, arguments)
        return result

    return snagged


def _strike(snag: Snag, arguments: tuple[Any, ...]) -> None:
    line = json.dumps({"step": snag.step, "pid": os.getpid(), "job": _job_of(arguments)})

    def signal_myself() -> None:
        with snag.notes.open("a", encoding="utf-8") as notes:
            notes.write(line + "\n")
        os.kill(os.getpid(), snag.signal)

    if snag.step == "called":
        threading.Timer(snag.delay_s, signal_myself).start()
    else:
        signal_myself()


def _counts(step: str, arguments: tuple[Any, ...], result: object) -> bool:
    """Return whether a passing belongs to a job: a claim that succeeded, a call, a stored image."""
    if step == "called":
        return bool(arguments[1])
    if step == "put":
        return "/images/" in str(arguments[1])
    return bool(result)


def _job_of(arguments: tuple[Any, ...]) -> str:
    """Return the job's id: from the arguments, an object key, or this thread's last claim."""
    named = str(arguments[1]) if len(arguments) > 1 else ""
    if "/images/" in named:
        return named.split("/images/")[1].split("/")[0]
    is_an_id = len(named) == 36 and named.count("-") == 4
    return named if is_an_id else str(getattr(_here, "job_id", ""))


def _remember_the_job(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def remembering(*arguments: Any, **named: Any) -> Any:
        _here.job_id = arguments[1]
        return original(*arguments, **named)

    return remembering


def _wrap(place: _Place, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    module, _, member = place.owner.partition(":")
    owner: Any = importlib.import_module(module)
    if member:
        owner = getattr(owner, member)
    original = getattr(owner, place.name)
    wrapped = wrapper(original)
    setattr(owner, place.name, wrapped)
    # replace it in every module that has imported the function by name
    for other in list(sys.modules.values()):
        if vars(other).get(place.name) is original:
            setattr(other, place.name, wrapped)

"""Describe a pause of the fleet and what to do about it, in the same words everywhere."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from storage.fleet.leases import Worker
from storage.fleet.pause import Pause, PauseKind

__all__ = ["ADVICE", "WORKER_ADVICE", "as_facts", "in_words", "worker_in_words"]

_WHY: Final[Mapping[PauseKind, str]] = {
    PauseKind.OPERATOR: "by hand",
    PauseKind.BREAKER: "by the breaker, as calls failed in a row",
    PauseKind.STORAGE: "as images cannot be stored and the spool is full",
    PauseKind.BUDGET: "as the day's calls are spent",
}

ADVICE: Final[Mapping[PauseKind, str]] = {
    PauseKind.OPERATOR: "`darkroom resume` lifts it",
    PauseKind.BREAKER: "repair their cause; the next success ends it, or `darkroom resume`",
    PauseKind.STORAGE: "repair the bucket; the next image stored ends it, or `darkroom resume`",
    PauseKind.BUDGET: "wait for the next day, or raise DARKROOM_MAX_CALLS_PER_DAY",
}


def in_words(pause: Pause) -> str:
    """Describe a pause in one line: why no call starts, since when, and how much longer."""
    since = _moment(pause.since)
    until = "" if pause.until is None else f" until {pause.until.astimezone():%H:%M:%S %Z}"
    return f"paused {_WHY[pause.kind]}, since {since}{until}{_detail(pause)}"


WORKER_ADVICE: Final = (
    "repair its cause; the worker probes by itself, or `darkroom resume --worker ID`"
)


def worker_in_words(worker: Worker) -> str:
    """Describe a paused worker in one line: which, since when, why, and how it did before.

    Raises:
        ValueError: The worker is not paused.
    """
    if worker.paused_at is None:
        raise ValueError("this worker is not paused")
    code, message = worker.pause_code or "", worker.pause_message or ""
    why = _plain(": ".join(part for part in (code, message) if part))
    last = "no call of it has succeeded"
    if worker.succeeded_at is not None:
        last = f"its last call succeeded {_moment(worker.succeeded_at)}"
    return (
        f"worker {worker.id} on {_plain(worker.host)}, process {worker.pid}, has paused itself,"
        f" since {_moment(worker.paused_at)}{f' ({why})' if why else ''}; {last}"
    )


def as_facts(pause: Pause | None) -> dict[str, Any] | None:
    """Return a pause as fields for a program, or None."""
    if pause is None:
        return None
    return {name: getattr(pause, name) for name in pause.__slots__}


def _detail(pause: Pause) -> str:
    """Return code and message if they say more than the kind, without control characters."""
    code = "" if pause.kind is PauseKind.OPERATOR else pause.code
    text = ": ".join(part for part in (code, pause.message) if part)
    return f" ({_plain(text)})" if text else ""


def _plain(text: str) -> str:
    """Return text from outside without characters that control the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _moment(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")

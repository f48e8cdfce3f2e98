"""What a pause of the fleet is called, and what can be done about it: the same words everywhere."""

from collections.abc import Mapping
from typing import Any, Final

from storage import Pause, PauseKind

__all__ = ["ADVICE", "as_facts", "in_words"]

_WHY: Final[Mapping[PauseKind, str]] = {
    PauseKind.OPERATOR: "by hand",
    PauseKind.BREAKER: "by the breaker, as calls failed in a row",
    PauseKind.STORAGE: "as images cannot be stored and the spool is full",
    PauseKind.BUDGET: "as the day's calls are spent",
}

ADVICE: Final[Mapping[PauseKind, str]] = {
    PauseKind.OPERATOR: "`darkroom resume` lifts it",
    PauseKind.BREAKER: "mend their cause; the next good call lifts it, or `darkroom resume`",
    PauseKind.STORAGE: "mend the bucket; the next image stored lifts it, or `darkroom resume`",
    PauseKind.BUDGET: "wait for the next day, or raise DARKROOM_MAX_CALLS_PER_DAY",
}


def in_words(pause: Pause) -> str:
    """A pause in one line: why no call starts, since when, and for how long still."""
    since = pause.since.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    until = "" if pause.until is None else f" until {pause.until.astimezone():%H:%M:%S %Z}"
    return f"paused {_WHY[pause.kind]}, since {since}{until}{_said(pause)}"


def as_facts(pause: Pause | None) -> dict[str, Any] | None:
    """A pause for a program, or None."""
    if pause is None:
        return None
    return {name: getattr(pause, name) for name in pause.__slots__}


def _said(pause: Pause) -> str:
    """Code and message, where they say more than the kind; no control characters."""
    code = "" if pause.kind is PauseKind.OPERATOR else pause.code
    told = ": ".join(part for part in (code, pause.message) if part)
    plain = "".join(letter if letter.isprintable() else " " for letter in told)
    return f" ({plain})" if plain else ""

"""Check whether calls may start, and at which speed. No other check shows a paused fleet."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.pause_notices import ADVICE, in_words
from darkroom.wiring.factory import Wiring
from storage.fleet.pause import Pause, PauseKind
from storage.fleet.state import FleetState, fleet_state

__all__ = ["check_pause"]

ABOUT = "calls"

#: Pauses that are intended; all others are faults.
EXPECTED = frozenset({PauseKind.OPERATOR, PauseKind.BUDGET})


def check_pause(wiring: Wiring) -> Iterator[Finding]:
    """Report whether the fleet is paused or slowed down, since when, and what ends that."""
    state = fleet_state(wiring.database)
    if state.pause is not None:
        yield _paused(state.pause)
    elif state.held_s > 0 or state.share < 1:
        yield _slowed(state)
    else:
        yield Finding(ABOUT, Level.OK, "may start: no pause, full speed")


def _paused(pause: Pause) -> Finding:
    level = Level.WARN if pause.kind in EXPECTED else Level.BAD
    return Finding(ABOUT, level, in_words(pause), ADVICE[pause.kind], stops_worker=False)


def _slowed(state: FleetState) -> Finding:
    held = f"none starts for {state.held_s:.0f} s, then " if state.held_s > 0 else ""
    text = f"the API asked for less speed: {held}{state.share:.0%} of the calls at once"
    return Finding(ABOUT, Level.WARN, text, "nothing: it recovers step by step", stops_worker=False)

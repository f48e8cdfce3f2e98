"""A remark on a pause, to whoever waits or looks for jobs that a pause holds up."""

import time
from typing import TYPE_CHECKING, Final

from darkroom.cli.say import note

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from storage import Database, Pause

__all__ = ["PauseRemarks", "remark_on_pause"]

LOOK_EVERY_S: Final = 2.0


def remark_on_pause(database: "Database") -> None:
    """Say that the fleet is paused, if it is."""
    PauseRemarks(database).look()


class PauseRemarks:
    """Tells of each pause once, however long the wait and however often it looks.

    Args:
        database: the results table.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._told: Pause | None = None
        self._look_at_s = 0.0

    def look(self) -> None:
        """Say what is new; asks the database only now and then.

        Raises:
            DatabaseUnavailable: nobody knows now.
        """
        from darkroom.paused import ADVICE, in_words
        from storage import fleet_state

        if time.monotonic() < self._look_at_s:
            return
        found = fleet_state(self._database).pause
        self._look_at_s = time.monotonic() + LOOK_EVERY_S
        if found is not None and found != self._told:
            note(f"no call begins: {in_words(found)}; {ADVICE[found.kind]}")
        elif found is None and self._told is not None:
            note("the pause is over")
        self._told = found

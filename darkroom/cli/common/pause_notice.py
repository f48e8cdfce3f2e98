"""Print a remark about pauses if the user waits or looks for jobs that a pause holds up."""

import time
from typing import TYPE_CHECKING, Final

from darkroom.cli.common.output import note

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from uuid import UUID

    from storage.db.database import Database
    from storage.fleet.leases import Worker
    from storage.fleet.pause import Pause

__all__ = ["PauseNotices", "note_pauses"]

LOOK_EVERY_S: Final = 2.0


def note_pauses(database: "Database") -> None:
    """Say whether the fleet is paused, and which workers have paused themselves."""
    PauseNotices(database).look()


class PauseNotices:
    """Report each pause once, however long the wait and however often it checks.

    Args:
        database: the results table.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._shown: Pause | None = None
        self._shown_workers: set[UUID] = set()
        self._look_at_s = 0.0

    def look(self) -> None:
        """Print what is new; asks the database only now and then.

        Raises:
            DatabaseUnavailable: the pause cannot be read now.
        """
        from darkroom.pause_notices import ADVICE, in_words
        from storage.fleet.leases import live_workers
        from storage.fleet.state import fleet_state

        if time.monotonic() < self._look_at_s:
            return
        found = fleet_state(self._database).pause
        self._look_at_s = time.monotonic() + LOOK_EVERY_S
        if found is not None and found != self._shown:
            note(f"no call begins: {in_words(found)}; {ADVICE[found.kind]}")
        elif found is None and self._shown is not None:
            note("the pause is over")
        self._shown = found
        if found is None:  # during a fleet pause, worker pauses add nothing
            self._look_at(live_workers(self._database))

    def _look_at(self, workers: "list[Worker]") -> None:
        from darkroom.pause_notices import WORKER_ADVICE, worker_in_words

        paused = [worker for worker in workers if worker.paused_at is not None]
        for worker in paused:
            if worker.id not in self._shown_workers:
                note(f"{worker_in_words(worker)}; {WORKER_ADVICE}")
        self._shown_workers = {worker.id for worker in paused}

"""Pause the fleet while images cannot be stored, and resume it when one has been stored.

Three parts meet here. `SpoolSpace` reports a spool that stays full, and the uploader reports each
stored image. `FleetSync`, which reads the fleet's row, reports whether such a pause is in force.
"""

import logging

from storage.db.database import Database
from storage.errors import StorageError
from storage.fleet.pause import PauseKind, pause_fleet, resume_fleet

__all__ = ["StoragePause"]

log = logging.getLogger(__name__)

SPOOL_FULL = "SPOOL_FULL"
WHY = "images cannot be stored and a spool is full; is the object store away?"


class StoragePause:
    """Begin and end the fleet's pause of the kind "storage". Safe to call from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_in_force = False

    def spool_is_full(self) -> None:
        """Pause the whole fleet, because no call can start here without spool space."""
        try:
            if pause_fleet(self._database, PauseKind.STORAGE, code=SPOOL_FULL, message=WHY):
                facts = {"kind": PauseKind.STORAGE, "code": SPOOL_FULL}
                log.error("fleet paused: %s", WHY, extra=facts)
                self._is_in_force = True
        except StorageError as error:
            log.warning("the fleet could not be paused", extra={"error": str(error)})

    def image_was_stored(self) -> None:
        """End the pause, because an image has been stored; without one, do nothing."""
        if self._is_in_force:
            self.lift()

    def follow(self, kind: PauseKind | None) -> None:
        """Note why the fleet is paused, as its row says; None if it is not."""
        self._is_in_force = kind is PauseKind.STORAGE

    def lift(self) -> None:
        """Resume the fleet, if storage is why it is paused."""
        try:
            if resume_fleet(self._database, kind=PauseKind.STORAGE):
                log.warning("fleet resumed: images can be stored again")
            self._is_in_force = False
        except StorageError as error:
            log.warning("the pause could not be lifted", extra={"error": str(error)})

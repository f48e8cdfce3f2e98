"""Search the spools of dead processes on this machine, and upload the images found there."""

import logging

from storage.errors import StorageError
from storage.spool.spool import Spool
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.storing.uploader import Uploader

__all__ = ["Adoption"]

log = logging.getLogger(__name__)


class Adoption:
    """Adopt the images that dead processes left on this machine.

    Args:
        every_s: seconds between two searches. It is well below a lease, so that an image is found
            before its job is called again.
    """

    def __init__(self, spool: Spool, uploads: Uploader, *, every_s: float) -> None:
        self._spool = spool
        self._uploads = uploads
        self.loop = BackgroundLoop(
            "adoption",
            self.search,
            every_s=every_s,
            on_error=OnError(
                log,
                "searching the spool failed",
                expected={StorageError: Expected("the spool could not be searched")},
            ),
        )

    def search(self) -> None:
        """Search once.

        Raises:
            StorageError: the spool could not be read.
        """
        self._spool.tidy()
        if adopted := self._uploads.adopt():
            log.info("images of a dead worker were found", extra={"answers": adopted})

"""Build what a worker needs to store images: spool, uploader, and comparison with its rows."""

from collections.abc import Callable

from darkroom.settings import Settings
from darkroom.wiring.factory import Wiring
from darkroom.wiring.spool_bound import spool_bound_bytes
from storage.spool.spool import Spool
from tasks.storing.open_claims import OpenClaims
from tasks.storing.reconcile import Reconcile
from tasks.storing.stored_images import StoredImages
from tasks.storing.uploader import Uploader

__all__ = ["adopt_every_s", "make_reconcile", "make_spool", "make_uploads"]

#: Between two scans for dead processes' spools, or less if leases are short.
ADOPT_EVERY_S = 5.0


def adopt_every_s(settings: Settings) -> float:
    """Return the seconds between two scans: several fit into a lease."""
    return min(ADOPT_EVERY_S, settings.lease_s / 4)


def make_spool(settings: Settings) -> Spool:
    """Create this process's folder below the spool's."""
    bound_bytes = spool_bound_bytes(settings)
    return Spool(settings.spool_dir, max_bytes=bound_bytes, fsync=settings.spool_fsync)


def make_uploads(wiring: Wiring, spool: Spool, *, on_stored: Callable[[], None]) -> Uploader:
    """Create the uploader from this spool to the bucket."""
    return Uploader(
        database=wiring.database,
        objects=wiring.objects,
        spool=spool,
        threads=wiring.settings.upload_threads,
        key_prefix=wiring.key_prefix,
        worker_id=wiring.worker_id,
        on_stored=on_stored,
    )


def make_reconcile(wiring: Wiring, uploads: Uploader, open_claims: OpenClaims) -> Reconcile:
    """Create the comparison of the rows this worker holds with its open claims and uploads."""
    return Reconcile(
        wiring.database,
        StoredImages(wiring.objects, key_prefix=wiring.key_prefix),
        worker_id=wiring.worker_id,
        claims=lambda: open_claims.all() | uploads.claims(),
        every_s=adopt_every_s(wiring.settings),
        grace_s=wiring.settings.spool_grace_s,
    )

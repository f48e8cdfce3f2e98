"""Compute how many bytes a worker's spool may hold if no setting specifies it."""

from darkroom.settings import Settings
from tasks.storing.spool_space import BYTES_PER_CALL

__all__ = ["calls_that_fit", "spool_bound_bytes"]

LEAST_BYTES = 4_000_000_000


def spool_bound_bytes(settings: Settings) -> int:
    """Return the configured bound, or space for all calls in flight and as many stored images.

    Without the second half, every image that waits for the bucket would keep a call from starting.
    """
    in_flight_bytes = settings.concurrency * BYTES_PER_CALL
    return settings.spool_max_bytes or max(LEAST_BYTES, 2 * in_flight_bytes)


def calls_that_fit(settings: Settings) -> int:
    """Return how many calls can be in flight or ready while no image is stored in the spool."""
    return spool_bound_bytes(settings) // BYTES_PER_CALL

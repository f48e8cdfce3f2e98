"""How many bytes a worker's spool may hold, where no setting says it."""

from darkroom.settings import Settings
from tasks.storing.spool_space import ROOM_PER_CALL_BYTES

__all__ = ["calls_that_fit", "spool_bound_bytes"]

LEAST_BYTES = 4_000_000_000


def spool_bound_bytes(settings: Settings) -> int:
    """What the settings say, or else room for all calls in flight and for as much at rest.

    Without the room at rest every picture that waits for the bucket would keep a call from
    starting.
    """
    in_flight_bytes = settings.concurrency * ROOM_PER_CALL_BYTES
    return settings.spool_max_bytes or max(LEAST_BYTES, 2 * in_flight_bytes)


def calls_that_fit(settings: Settings) -> int:
    """How many calls can be in flight, or stand ready, while nothing rests there."""
    return spool_bound_bytes(settings) // ROOM_PER_CALL_BYTES

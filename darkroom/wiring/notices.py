"""Connect a process to the notices of ended jobs."""

from darkroom.wiring.factory import Wiring
from tasks.notices.ended import EndedNotices

__all__ = ["announce_ends"]


def announce_ends(wiring: Wiring) -> None:
    """Have the ids of jobs whose end this process commits published for gateways.

    Workers and gateways do so if there is a Redis for limits. A command ends before its notices
    were sent; after it, waiting callers notice ends at the next poll.
    """
    redis = wiring.limits_redis
    if redis is not None:
        notices = EndedNotices(redis, namespace=wiring.settings.namespace)
        wiring.database.on_ended = notices.add

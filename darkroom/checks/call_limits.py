"""Check the Redis of the limits through redis-py, which parses addresses unlike Kombu.

Without this Redis, each worker applies its own share of the fleet's limits, and each gateway counts
requests per owner by itself. So no finding here stops a worker.
"""

from collections.abc import Iterator
from dataclasses import replace

from redis import ConnectionPool

from darkroom.checks.finding import Finding, Level
from darkroom.checks.redis_rights import limits_commands
from darkroom.checks.redis_server import check_server
from darkroom.settings import variable
from darkroom.wiring.factory import Wiring
from tasks.broker.errors import BROKER_ERRORS

__all__ = ["check_call_limits"]

ABOUT = "limits"
TIMEOUT_S = 5


def check_call_limits(wiring: Wiring) -> Iterator[Finding]:
    """Check that the Redis of the limits answers and permits the commands they need."""
    address, options = wiring.settings.limits_redis, wiring.limits_redis
    if address is None or options is None:
        return
    name = variable("redis_url" if wiring.settings.redis_url else "broker_url")
    pool = ConnectionPool(
        **options, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, max_connections=2
    )
    commands = limits_commands(wiring.settings.namespace)
    try:
        found = list(check_server(ABOUT, name, address, pool, commands))
    except BROKER_ERRORS as error:
        text = f"{name}: limits are not shared: {address.safe_url} does not answer ({error})"
        found = [Finding(ABOUT, Level.BAD, text)]
    finally:
        pool.disconnect()
    yield from (replace(finding, stops_worker=False) for finding in found)
    if all(finding.level is not Level.BAD for finding in found):
        yield Finding(ABOUT, Level.OK, f"{address.safe_url} answers")

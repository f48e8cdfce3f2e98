"""Is this Redis one that may be used: a single server, with the rights that are needed?"""

from collections.abc import Iterator, Sequence
from typing import Any

from redis import ConnectionPool, Redis
from redis.exceptions import ResponseError

from darkroom.checks.finding import Finding, Level
from darkroom.checks.redis_rights import refused_commands
from darkroom.settings.addresses import RedisAddress

__all__ = ["check_server", "info_of"]

#: So many refused commands are named.
SHOWN = 4


def check_server(
    about: str, name: str, address: RedisAddress, pool: ConnectionPool, commands: Sequence[Any]
) -> Iterator[Finding]:
    """The server is no cluster, its certificate is verified, and the commands are allowed.

    Args:
        about: the part of the installation.
        name: the setting that names the server.
        address: the server's.
        pool: connections to it, made as those in use are.
        commands: what will be sent.

    Raises:
        RedisError: it does not answer.
    """
    if address.tls is not None and not address.tls.verify:
        yield Finding(
            about,
            Level.WARN,
            f"{address.safe_url}: its certificate is not verified: anyone on the way can read "
            "prompts",
            "set DARKROOM_REDIS_TLS_VERIFY=true and, for an authority of your own, "
            "DARKROOM_REDIS_CA_FILE",
        )
    if info_of(Redis(connection_pool=pool), "cluster", "cluster_enabled"):
        yield Finding(
            about,
            Level.BAD,
            f"{name}: {address.safe_url} is a Redis Cluster, which Kombu cannot use: it changes "
            "keys of different slots in one step",
            "name a Redis without cluster mode",
        )
        return
    refused = refused_commands(pool, commands)
    if refused:
        more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
        yield Finding(
            about,
            Level.BAD,
            f"{name}: {address.safe_url}: its user may not {', '.join(refused[:SHOWN])}{more}",
            "give the user the ACL of docs/operations.md, Redis",
        )


def info_of(client: Any, section: str, name: str) -> Any:
    """One value of INFO; None where the server does not say (a managed one may not)."""
    try:
        return client.info(section).get(name)
    except ResponseError:
        return None

"""Check that a Redis is usable: a single server that grants the required permissions."""

from collections.abc import Iterator, Sequence
from typing import Any

from redis import ConnectionPool, Redis
from redis.exceptions import ResponseError

from darkroom.checks.finding import Finding, Level
from darkroom.checks.redis_rights import refused_commands
from darkroom.settings.addresses import RedisAddress

__all__ = ["check_server", "info_of"]

#: Most refused commands that a finding names.
SHOWN = 4


def check_server(
    about: str, name: str, address: RedisAddress, pool: ConnectionPool, commands: Sequence[Any]
) -> Iterator[Finding]:
    """Check that the server is no cluster, its certificate is verified, commands are allowed.

    Args:
        about: the part of the installation.
        name: the setting that names the server.
        address: the server's.
        pool: connections made with the options that are used in operation.
        commands: what will be sent.

    Raises:
        RedisError: the server does not answer.
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
    """Return one value of INFO, or None if the server omits it (a managed one may)."""
    try:
        return client.info(section).get(name)
    except ResponseError:
        return None

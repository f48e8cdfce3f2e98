"""Check that the broker answers and keeps its messages.

Dispatch messages may be lost without harm, because the table records what is due. A
`darkroom.submit` message, however, is the only record of its job. So a Redis that evicts keys, or
keeps nothing on disk, loses jobs.
"""

from collections.abc import Iterator
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection
from redis.exceptions import AuthenticationError, ResponseError

from darkroom.checks.finding import Finding, Level
from darkroom.checks.redis_rights import broker_commands
from darkroom.checks.redis_server import check_server, info_of
from darkroom.errors import UserError
from darkroom.wiring.factory import Wiring
from tasks.broker.errors import BROKER_ERRORS

__all__ = ["check_broker", "connection_to_check"]

ABOUT = "broker"
TIMEOUT_S = 5


def check_broker(wiring: Wiring) -> Iterator[Finding]:
    """Check that the broker answers, declares the queues and, if a Redis, keeps messages.

    Raises:
        UserError: no broker answers at the address, or it refuses the connection.
    """
    connection = connection_to_check(wiring)
    address = address_of(connection)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=TIMEOUT_S)
            yield Finding(ABOUT, Level.OK, f"{address} answers")
            yield from _look_into(wiring, connection, address)
    except BROKER_ERRORS as error:
        raise UserError(f"DARKROOM_BROKER_URL: {_why_not(error, address)}") from error


def _look_into(wiring: Wiring, connection: Connection, address: str) -> Iterator[Finding]:
    channel: Any = connection.default_channel
    redis, tls = wiring.settings.broker.redis, wiring.settings.broker.tls
    if redis is not None:
        commands = broker_commands(wiring.queues, wiring.app.conf)
        found = list(check_server(ABOUT, "DARKROOM_BROKER_URL", redis, channel.pool, commands))
        yield from found
        if any(finding.level is Level.BAD for finding in found):
            return
    elif tls is not None and not tls.verify:
        text = f"{address}: its certificate is not verified: anyone on the way can read prompts"
        yield Finding(ABOUT, Level.WARN, text, "set DARKROOM_RABBITMQ_TLS_VERIFY=true")
    for queue in wiring.app.amqp.queues.values():
        queue.bind(channel).declare()
    if redis is not None:
        yield from _keeps(channel.client, address)


def _why_not(error: Exception, address: str) -> str:
    # Kombu's error keeps the first library error as its cause.
    refusals = (AMQPError, AuthenticationError)
    if isinstance(error, refusals) or isinstance(error.__cause__, refusals):
        return f"the broker at {address} refuses the login, the virtual host or a queue ({error})"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        kind = "RABBITMQ" if address.startswith("amqp") else "REDIS"
        return (
            f"the certificate of {address} is not trusted ({error}); DARKROOM_{kind}_CA_FILE names "
            "the certificate of your own authority"
        )
    return (
        f"no broker at {address} ({error}); start one there, or let `darkroom up` run everything "
        "on this machine"
    )


def address_of(connection: Connection) -> str:
    """Return the broker's address without its password, or without a marker if it has none."""
    address: str = connection.as_uri()
    return address if connection.password else address.replace("://:**@", "://", 1)


def connection_to_check(wiring: Wiring) -> Connection:
    """Return an unopened connection to the broker's address.

    Raises:
        UserError: the address is invalid.
    """
    options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    try:
        connection: Connection = wiring.app.connection_for_write(
            connect_timeout=TIMEOUT_S,
            transport_options={**wiring.app.conf.broker_transport_options, **options},
        )
        connection.transport  # noqa: B018 - kombu rejects an unknown scheme here
    except (KeyError, ValueError, ImportError) as error:
        raise UserError(
            "DARKROOM_BROKER_URL is no broker's address: redis://host:6379/0 or amqp://host"
        ) from error
    return connection


def _keeps(client: Any, address: str) -> Iterator[Finding]:
    policy = info_of(client, "memory", "maxmemory_policy")
    if policy not in {None, "noeviction"}:
        yield Finding(
            ABOUT,
            Level.BAD,
            f"DARKROOM_BROKER_URL: {address} evicts keys when it is full ({policy}), jobs too",
            "set its maxmemory-policy to noeviction",
            stops_worker=False,
        )
    elif policy is not None:
        yield Finding(ABOUT, Level.OK, "evicts nothing (maxmemory-policy noeviction)")
    if info_of(client, "persistence", "aof_enabled") == 0 and _saves(client) == "":
        yield Finding(
            ABOUT,
            Level.WARN,
            "keeps nothing on disk: its restart loses `darkroom.submit` messages not yet rows",
            "set its appendonly to yes",
        )


def _saves(client: Any) -> str | None:
    try:
        saves: str | None = client.config_get("save").get("save")
    except ResponseError:
        return None
    return saves

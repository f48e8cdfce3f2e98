"""Does the broker answer, and does it keep what it is given?

Dispatches may be lost without harm, since the table knows what is due. A `darkroom.submit` message
is all there is of its job, though, so a Redis that evicts keys or keeps nothing on disk loses jobs.
"""

from collections.abc import Iterator
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection

from darkroom.checks.finding import Finding, Level
from darkroom.errors import UserError
from darkroom.wiring import Wiring
from tasks import BROKER_ERRORS

__all__ = ["check_broker", "connection_to_check"]

ABOUT = "broker"
TIMEOUT_S = 5


def check_broker(wiring: Wiring) -> Iterator[Finding]:
    """The broker answers; a Redis evicts nothing and writes to disk.

    Raises:
        UserError: there is no broker at the address.
    """
    connection = connection_to_check(wiring)
    address = address_of(connection)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=TIMEOUT_S)
            yield Finding(ABOUT, Level.OK, f"{address} answers")
            if connection.transport.driver_type == "redis":
                channel: Any = connection.default_channel  # Kombu's Redis channel has a client
                yield from _redis(channel.client, address)
    except BROKER_ERRORS as error:
        raise UserError(f"DARKROOM_BROKER_URL: {_why_not(error, address)}") from error


def _why_not(error: Exception, address: str) -> str:
    # Kombu's error keeps the first one as its cause.
    if isinstance(error, AMQPError) or isinstance(error.__cause__, AMQPError):
        return f"the broker at {address} refuses the login, the virtual host or a queue ({error})"
    return (
        f"no broker at {address} ({error}); start one there, or let `darkroom up` run everything "
        "on this machine"
    )


def address_of(connection: Connection) -> str:
    """The broker's address without its password; without the mark of one where there is none."""
    address: str = connection.as_uri()
    return address if connection.password else address.replace("://:**@", "://", 1)


def connection_to_check(wiring: Wiring) -> Connection:
    """The broker's address as something that can connect; nothing is connected yet.

    Raises:
        UserError: no broker has such an address.
    """
    options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    try:
        connection: Connection = wiring.app.connection_for_write(
            connect_timeout=TIMEOUT_S,
            transport_options={**wiring.app.conf.broker_transport_options, **options},
        )
        connection.transport  # noqa: B018 - where kombu finds out that it knows no such scheme
    except (KeyError, ValueError, ImportError) as error:
        raise UserError(
            "DARKROOM_BROKER_URL is no broker's address: redis://host:6379/0 or amqp://host"
        ) from error
    return connection


def _redis(client: Any, address: str) -> Iterator[Finding]:
    policy = _told(client, "memory", "maxmemory_policy")
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
    if _told(client, "persistence", "aof_enabled") == 0 and _saves(client) == "":
        yield Finding(
            ABOUT,
            Level.WARN,
            "keeps nothing on disk: its restart loses `darkroom.submit` messages not yet rows",
            "set its appendonly to yes",
        )


def _told(client: Any, section: str, name: str) -> Any:
    """One value of INFO; None where the server doesn't tell (a managed one may not)."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 - RabbitMQ users need no Redis here

    try:
        return client.info(section).get(name)
    except ResponseError:
        return None


def _saves(client: Any) -> str | None:
    from redis.exceptions import ResponseError  # noqa: PLC0415 - as above

    try:
        saves: str | None = client.config_get("save").get("save")
    except ResponseError:
        return None
    return saves

"""Reconnect a worker to its broker soon after an outage, and discard the lost connection safely.

After every failed attempt, Celery waits two seconds longer, up to half a minute, and no setting
changes that. After an outage of a minute, workers would stay idle although the broker is available.

Celery first collects a lost connection, which closes its channels up to the first failure, and then
closes it. By then, Kombu's Redis channels have lost their connection. If one of them still has a
message to requeue, it raises an `AttributeError`, and Celery ends the worker.

If RabbitMQ refuses the login or the virtual host, the broker counts as unavailable: operators
change passwords and virtual hosts under running fleets, and correct them. amqp marks these errors
as irrecoverable, so Kombu would not retry, and Celery would end the worker.
"""

from contextlib import suppress
from typing import Any

from amqp.exceptions import AccessRefused, InternalError, NotAllowed
from celery.app.amqp import AMQP
from kombu import Connection
from kombu.transport import pyamqp, redis

from tasks.messages.amqp_transport import AmqpTransport, SecureAmqpTransport
from tasks.messages.redis_transport import RedisTransport

__all__ = ["SoonAgain"]

#: Kombu's options for the waits between attempts, in seconds: 1, 2, 3, 4, and then 4 each time.
WAITS = {"interval_start": 1, "interval_step": 1, "interval_max": 4}


#: RabbitMQ's refusals of a login: wrong password; virtual host missing, forbidden, full or down.
REFUSALS = (AccessRefused, NotAllowed, InternalError)


#: Kombu's transports, and their replacements.
TRANSPORTS: dict[type, type] = {
    redis.Transport: RedisTransport,
    pyamqp.Transport: AmqpTransport,
    pyamqp.SSLTransport: SecureAmqpTransport,
}


class _Connection(Connection):
    @property
    def recoverable_connection_errors(self) -> tuple[type[Exception], ...]:
        """Return the errors after which the connection is retried."""
        return (*super().recoverable_connection_errors, *REFUSALS)

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """Return the errors after which Celery connects again."""
        return (*super().connection_errors, *REFUSALS)

    def _establish_connection(self) -> Any:
        """Connect; over TLS, verify the certificate against the current host.

        If there are several hosts, Kombu verifies all against the first one. It also replaces
        localhost by 127.0.0.1.
        """
        host = self.hostname
        if isinstance(self.ssl, dict) and "server_hostname" in self.ssl:
            self.ssl = {**self.ssl, "server_hostname": host}
        try:
            return super()._establish_connection()
        finally:
            self.hostname = host

    def ensure_connection(  # type: ignore[override]  # all of Kombu's many options
        self, *args: Any, **options: Any
    ) -> Connection:
        """Connect, with any number of attempts and waits of a few seconds."""
        connection: Connection = super().ensure_connection(*args, **{**WAITS, **options})
        return connection

    def get_transport_cls(self) -> Any:
        """Return the transport that tolerates malformed messages, in place of Kombu's."""
        usual = super().get_transport_cls()
        return TRANSPORTS.get(usual, usual)

    def maybe_close_channel(self, channel: Any) -> None:
        """Close a channel; if its connection is collected already, do nothing."""
        with suppress(AttributeError):
            super().maybe_close_channel(channel)


class SoonAgain(AMQP):
    """The `amqp` class of an app whose connections reconnect soon."""

    Connection = _Connection

"""A worker's connection to a broker that goes away: given up whole, and soon looked for again.

Celery waits two seconds longer after every failed try, up to half a minute, and no setting changes
that: after an outage of a minute, workers would sit beside a broker that is there again.

It first collects a lost connection, which closes its channels up to the first that fails, and then
closes it. By then Kombu's Redis channels no longer know whose they are, and one that still has a
message to give back ends in an `AttributeError`, which Celery takes for the end of the worker.

A RabbitMQ that refuses the login or the virtual host is an unavailable broker: passwords and
virtual hosts are changed under running fleets, and put right again. amqp calls these errors
irrecoverable, so Kombu would not wait for their end, and Celery would end the worker.
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

#: Kombu's words for the wait between two tries, in seconds: 1, 2, 3, 4, and then 4 each time.
WAITS = {"interval_start": 1, "interval_step": 1, "interval_max": 4}


#: What RabbitMQ answers to a login: wrong password, virtual host missing, forbidden, full or down.
REFUSALS = (AccessRefused, NotAllowed, InternalError)


#: Kombu's transports, and those that are used in their place.
TRANSPORTS: dict[type, type] = {
    redis.Transport: RedisTransport,
    pyamqp.Transport: AmqpTransport,
    pyamqp.SSLTransport: SecureAmqpTransport,
}


class _Connection(Connection):
    @property
    def recoverable_connection_errors(self) -> tuple[type[Exception], ...]:
        """What another try at connecting may put right."""
        return (*super().recoverable_connection_errors, *REFUSALS)

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """What makes Celery connect again."""
        return (*super().connection_errors, *REFUSALS)

    def _establish_connection(self) -> Any:
        """Connect; over TLS, the certificate must be for the host that is tried now.

        Kombu writes the first host of several into the options, and compares all with that one; and
        it writes 127.0.0.1 in place of localhost.
        """
        host = self.hostname
        if isinstance(self.ssl, dict) and "server_hostname" in self.ssl:
            self.ssl = {**self.ssl, "server_hostname": host}
        try:
            return super()._establish_connection()
        finally:
            self.hostname = host

    def ensure_connection(  # type: ignore[override]  # all of Kombu's options, which are many
        self, *args: Any, **options: Any
    ) -> Connection:
        """Connect, however often it takes, without waits that grow beyond a few seconds."""
        connection: Connection = super().ensure_connection(*args, **{**WAITS, **options})
        return connection

    def get_transport_cls(self) -> Any:
        """Return the transport that copes with messages of any form, in place of Kombu's own."""
        usual = super().get_transport_cls()
        return TRANSPORTS.get(usual, usual)

    def maybe_close_channel(self, channel: Any) -> None:
        """Close a channel; of one whose connection is given up nothing is left to close."""
        with suppress(AttributeError):
            super().maybe_close_channel(channel)


class SoonAgain(AMQP):
    """What an app is given to have its connections look again soon."""

    Connection = _Connection

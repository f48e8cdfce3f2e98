"""Make connections to the broker with short timeouts.

Without these timeouts, a broker that hangs would block its caller until the kernel's timeouts.
Redis and RabbitMQ have different names for the same options, and each ignores the other's.
"""

from celery import Celery
from kombu import Connection

__all__ = ["short_wait_connection"]


def short_wait_connection(app: Celery, timeout_s: float, *, confirmed: bool = False) -> Connection:
    """Return a new connection to the app's broker; it connects at its first use.

    Args:
        app: the Celery app whose broker is used.
        timeout_s: the timeout of each step: connect, send, and receive an answer.
        confirmed: on RabbitMQ, whether a message counts as sent only once the broker confirms it.
            A lost dispatch is sent again, so dispatches need no confirmation.
    """
    connection: Connection = app.connection_for_write(
        connect_timeout=timeout_s,
        transport_options={
            **app.conf.broker_transport_options,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "read_timeout": timeout_s,
            "write_timeout": timeout_s,
            "confirm_publish": confirmed,
            "max_retries": 1,
            "interval_start": 0.1,
        },
    )
    return connection

"""A connection to the broker that never waits long: for what others wait for.

Without limits of its own, a broker that hangs would hold its caller as long as the kernel likes.
Redis and RabbitMQ each have their own words for the same limits and pass over the other's.
"""

from celery import Celery
from kombu import Connection

__all__ = ["short_wait_connection"]


def short_wait_connection(app: Celery, timeout_s: float, *, confirmed: bool = False) -> Connection:
    """A connection of its own to the app's broker; nothing is connected yet.

    Args:
        app: whose broker it is.
        timeout_s: longest wait to connect, to send and for an answer, each.
        confirmed: on RabbitMQ, whether a message is sent only once the broker says that it has it;
            a doorbell that was not heard is rung again, and needs no such thing.
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

"""List every exception that means that the broker cannot send or receive a message now.

Kombu wraps only errors that it considers recoverable. It raises amqp's own errors for a refused
login (`AccessRefused`) and for a missing or forbidden virtual host (`NotAllowed`). These are
neither `KombuError` nor `OSError`. Errors from the creation of a channel are not wrapped at all.
"""

from typing import Final

from amqp.exceptions import AMQPError, MessageNacked
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

__all__ = ["BROKER_ERRORS"]

BROKER_ERRORS: Final[tuple[type[Exception], ...]] = (
    KombuError,
    AMQPError,
    MessageNacked,
    RedisError,
    OSError,
)

"""Every exception by which a broker or its client says that a message cannot be sent or taken now.

Kombu wraps what it takes for passing. A refused login (`AccessRefused`) and a virtual host that is
missing or forbidden (`NotAllowed`) it passes on as amqp's own, which are neither `KombuError` nor
`OSError`; and what is raised while a channel is made is not wrapped at all.
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

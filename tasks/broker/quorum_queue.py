"""Use a queue on RabbitMQ even if another program declared it with other properties.

RabbitMQ refuses a declaration that differs from the existing queue. If a producer sends its first
message before the first worker starts, its Celery declares a classic queue. Without this class,
every worker would then exit at its start.
"""

import logging
from typing import Any

from amqp.exceptions import PreconditionFailed
from kombu import Queue

__all__ = ["QueueAsFound"]

log = logging.getLogger(__name__)


class QueueAsFound(Queue):
    """Declares a queue, or accepts an existing one with other properties."""

    def queue_declare(
        self,
        nowait: bool = False,  # noqa: FBT001, FBT002 - Kombu's signature
        passive: bool = False,  # noqa: FBT001, FBT002 - Kombu's signature
        channel: Any = None,
    ) -> Any:
        """Declare on a separate channel, because a refusal closes the channel."""
        usual: Any = channel or self.channel
        trial = usual.connection.channel()
        try:
            name = super().queue_declare(nowait, passive, channel=trial)
        except PreconditionFailed as error:
            log.warning(
                "a queue exists with other properties; it is used unchanged",
                extra={"queue": self.name, "broker_says": error.reply_text},
            )
            return super().queue_declare(nowait, passive=True, channel=usual)
        trial.close()
        return name

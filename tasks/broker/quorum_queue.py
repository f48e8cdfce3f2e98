"""A queue on RabbitMQ that is used as it is, whoever declared it first.

RabbitMQ refuses a declaration that differs from the queue it has. A producer elsewhere that sent
its first message before our first worker started has declared a classic queue, by its Celery's own
defaults: no reason for every worker to end at its start.
"""

import logging
from typing import Any

from amqp.exceptions import PreconditionFailed
from kombu import Queue

__all__ = ["QueueAsFound"]

log = logging.getLogger(__name__)


class QueueAsFound(Queue):
    """Declares itself, and accepts a queue of its name that was declared otherwise."""

    def queue_declare(
        self,
        nowait: bool = False,  # noqa: FBT001, FBT002 - Kombu's signature
        passive: bool = False,  # noqa: FBT001, FBT002 - Kombu's signature
        channel: Any = None,
    ) -> Any:
        """Declare on a channel of its own: a refusal closes the channel it was asked on."""
        usual: Any = channel or self.channel
        trial = usual.connection.channel()
        try:
            name = super().queue_declare(nowait, passive, channel=trial)
        except PreconditionFailed as error:
            log.warning(
                "a queue exists with other properties than ours, and is used as it is",
                extra={"queue": self.name, "broker_says": error.reply_text},
            )
            return super().queue_declare(nowait, passive=True, channel=usual)
        trial.close()
        return name

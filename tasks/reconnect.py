"""How soon a worker looks for a broker that has come back.

Celery waits two seconds longer after every failed try, up to half a minute, and no setting changes
that: after an outage of a minute, workers would sit beside a broker that is there again.
"""

from typing import Any

from celery.app.amqp import AMQP
from kombu import Connection

__all__ = ["SoonAgain"]

#: Kombu's words for the wait between two tries, in seconds: 1, 2, 3, 4, and then 4 each time.
WAITS = {"interval_start": 1, "interval_step": 1, "interval_max": 4}


class _Connection(Connection):
    def ensure_connection(  # type: ignore[override]  # all of Kombu's options, which are many
        self, *args: Any, **options: Any
    ) -> Connection:
        """Connect, however often it takes, without waits that grow beyond a few seconds."""
        connection: Connection = super().ensure_connection(*args, **{**WAITS, **options})
        return connection


class SoonAgain(AMQP):
    """What an app is given to have its connections look again soon."""

    Connection = _Connection

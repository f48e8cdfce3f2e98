"""Sending dispatches: the one place that publishes messages.

A message is only a doorbell; losing one costs time, never a job. So a broker that does not answer
must cost no more than a second, and then nothing for a while: accepting jobs stays fast.
"""

import logging
import math
import time
from collections.abc import Sequence
from uuid import UUID

from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError
from kombu.pools import producers

from tasks.names import GENERATE, Queues
from tasks.short_wait import short_wait_connection

__all__ = ["Doorbell"]

log = logging.getLogger(__name__)

#: Messages over which the ids of one round are spread at least: with little due, two jobs travel
#: apart and any free worker takes each. All are about as long.
SPREAD = 2

#: No message fills more than this part of a worker's call slots, which is how many threads a
#: worker has beside its calls: what it takes and cannot start at once waits there, while others
#: may stand idle.
PART_OF_A_WORKER = 8


class Doorbell:
    """Publishes `darkroom.generate` messages with a short timeout and without retries.

    Args:
        app: the Celery app whose broker and task names are used.
        ids_per_message: most job ids in one message; a message costs milliseconds, an id does not.
        slots: calls that one worker keeps in flight.
        timeout_s: longest wait for the broker.
        pause_s: nothing is tried for this long after a failure.
    """

    def __init__(
        self,
        app: Celery,
        queues: Queues,
        *,
        ids_per_message: int,
        slots: int,
        timeout_s: float,
        pause_s: float,
    ) -> None:
        self._app = app
        self._queue = queues.generate
        self._ids_per_message = max(1, min(ids_per_message, slots // PART_OF_A_WORKER))
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._closed_until = 0.0
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether a message would be tried now."""
        return time.monotonic() >= self._closed_until

    def ring(self, job_ids: Sequence[UUID]) -> list[UUID]:
        """Send messages that name these jobs; the ids that could not be sent."""
        messages = max(SPREAD, math.ceil(len(job_ids) / self._ids_per_message))
        size = max(1, math.ceil(len(job_ids) / messages))
        for start in range(0, len(job_ids), size):
            if not self._send(job_ids[start : start + size]):
                return list(job_ids[start:])
        return []

    def _send(self, job_ids: Sequence[UUID]) -> bool:
        if not self.is_open:
            return False
        try:
            with self._producer() as producer:
                self._app.send_task(
                    GENERATE,
                    args=[[str(job_id) for job_id in job_ids]],
                    queue=self._queue,
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )
        except (KombuError, OSError) as error:
            self._closed_until = time.monotonic() + self._pause_s
            log.warning(
                "the broker did not take a message; jobs stay in the table and go out later",
                extra={"error": type(error).__name__, "pause_s": self._pause_s},
            )
            return False
        return True

    def _producer(self) -> Producer:
        if self._connection is None:
            self._connection = short_wait_connection(self._app, self._timeout_s)
        producer: Producer = producers[self._connection].acquire(
            block=True, timeout=self._timeout_s
        )
        return producer

"""Sending dispatches: the one place that publishes messages.

A message is only a doorbell; losing one costs time, never a job. So a broker that does not answer
must cost no more than a second, and then nothing for a while: accepting jobs stays fast.
"""

import logging
import math
import time
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from celery import Celery
from kombu import Connection, Producer
from kombu.pools import producers

from tasks.broker.connections import short_wait_connection
from tasks.broker.errors import BROKER_ERRORS
from tasks.queues import GENERATE, Queues

__all__ = ["Publisher"]

log = logging.getLogger(__name__)

#: The fewest messages for what one round has due: two workers may take it.
LEAST_MESSAGES = 2

#: No message fills more than this part of a worker's call slots: what a worker takes and cannot
#: start at once waits there, while others may stand idle. Its threads beside those of its calls are
#: as many.
PART_OF_A_WORKER = 8


class Publisher:
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
        self._failing_since: float | None = None
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether a message would be tried now."""
        return time.monotonic() >= self._closed_until

    @property
    def failing_s(self) -> float:
        """Seconds since the broker last took a message, if it has refused any since; else 0."""
        since = self._failing_since
        return 0.0 if since is None else time.monotonic() - since

    def forget_failures(self) -> None:
        """Count from the next failure on."""
        self._failing_since = None

    def publish(self, job_ids: Sequence[UUID]) -> list[UUID]:
        """Send as few messages as may be, all about as long; the ids that could not be sent."""
        for start, end in pairwise(self._ends(len(job_ids))):
            if not self._send(job_ids[start:end]):
                return list(job_ids[start:])
        return []

    def _ends(self, due: int) -> list[int]:
        """Where each message begins, and the last one ends."""
        fewest = math.ceil(due / self._ids_per_message)
        messages = min(due, max(LEAST_MESSAGES, fewest))
        return [0, *(due * number // messages for number in range(1, messages + 1))]

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
        except BROKER_ERRORS as error:
            self._closed_until = time.monotonic() + self._pause_s
            self._failing_since = self._failing_since or time.monotonic()
            log.warning(
                "the broker did not take a message; jobs stay in the table and go out later",
                extra={"error": type(error).__name__, "pause_s": self._pause_s},
            )
            return False
        self._failing_since = None
        return True

    def _producer(self) -> Producer:
        if self._connection is None:
            self._connection = short_wait_connection(self._app, self._timeout_s)
        producer: Producer = producers[self._connection].acquire(
            block=True, timeout=self._timeout_s
        )
        return producer

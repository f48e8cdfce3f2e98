"""Publish dispatch messages, which name the ids of due jobs.

The row is the job, so a lost message only delays it. If the broker fails, the publisher sends
nothing for a pause, so that an unavailable broker does not slow down the acceptance of jobs.
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

#: The fewest messages of one round of the leader, so that two workers can share its jobs.
LEAST_MESSAGES = 2

#: A message names at most 1/8 as many jobs as a worker has call slots. Jobs that a worker cannot
#: start at once wait in its inbox, while other workers may be idle. The same fraction gives the
#: number of a worker's threads beyond its call slots.
PART_OF_A_WORKER = 8


class Publisher:
    """Publishes `darkroom.generate` messages with a short timeout and without retries.

    Args:
        app: the Celery app whose broker and task names are used.
        ids_per_message: most job ids in one message; a message costs milliseconds, an id far less.
        slots: call slots of one worker.
        timeout_s: the broker's timeout.
        pause_s: after a failure, nothing is sent for this time.
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
        """Return whether a message would be sent now, instead of paused after a failure."""
        return time.monotonic() >= self._closed_until

    @property
    def failing_s(self) -> float:
        """Return the seconds since the first failure after the last success; 0 without one."""
        since = self._failing_since
        return 0.0 if since is None else time.monotonic() - since

    def forget_failures(self) -> None:
        """Reset `failing_s`, so that it counts from the next failure."""
        self._failing_since = None

    def publish(self, job_ids: Sequence[UUID], *, fewest: int = LEAST_MESSAGES) -> list[UUID]:
        """Send ids in few messages of about equal length; return the ids that were not sent.

        Args:
            job_ids: in the order in which they should start.
            fewest: the number of messages if fewer would do.
        """
        for start, end in pairwise(self._ends(len(job_ids), fewest)):
            if not self._send(job_ids[start:end]):
                return list(job_ids[start:])
        return []

    def _ends(self, due: int, fewest: int) -> list[int]:
        """Return the index at which each message begins, and the end of the last one."""
        messages = min(due, max(fewest, math.ceil(due / self._ids_per_message)))
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
                "the broker did not accept a message; its jobs are dispatched later",
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

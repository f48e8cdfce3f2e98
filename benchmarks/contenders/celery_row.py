"""A Celery task that inserts one row: the least that a queue of jobs costs with a table.

It has the pool and the acknowledgement of Darkroom's submit task: four threads, late, and a quorum
queue on RabbitMQ. Started by `benchmarks/figures/api/accept_messages.py`.
"""

import json
import os
from typing import Any

from celery import Celery
from kombu import Queue

from benchmarks.contenders.own_connection import own_connection

__all__ = ["INSERT_ROW", "TABLE", "app", "insert_row"]

INSERT_ROW = "celery_row.insert"
TABLE = "CREATE TABLE rows (id uuid PRIMARY KEY, request jsonb NOT NULL)"

_BROKER, _QUEUE = os.environ.get("ROW_BROKER", ""), os.environ.get("ROW_QUEUE", "rows")
_KIND = {} if _BROKER.startswith("redis") else {"x-queue-type": "quorum"}

app = Celery("celery_row", broker=_BROKER, set_as_current=False)
app.conf.task_queues = [Queue(_QUEUE, routing_key=_QUEUE, queue_arguments=_KIND)]
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_retry_on_startup = True


@app.task(name=INSERT_ROW, bind=True, acks_late=True, ignore_result=True)
def insert_row(self: Any, request: dict[str, Any]) -> None:
    """Insert the message's request under its task id, once."""
    own_connection(os.environ["ROW_DATABASE"]).execute(
        "INSERT INTO rows VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (self.request.id, json.dumps(request)),
    )

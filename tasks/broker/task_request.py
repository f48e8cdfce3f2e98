"""Let a worker survive the acknowledgement of a message whose connection is lost.

A submit may wait long for the database. If the broker's connection is lost in that time, Celery
acknowledges on a channel that it has collected. Kombu's Redis channel then raises an
`AttributeError`, and Celery ends the worker. `Delivered` counts it among the connection errors, so
Celery only logs that the message could not be acknowledged. The broker delivers the message again:
a repeated submit finds its row, and a repeated dispatch finds a claimed job.

The gate has decoded the message already, so it is not decoded again for the pool.
"""

from typing import Any

from celery.worker.request import Request

__all__ = ["Delivered"]


class Delivered(Request):
    """The request that Celery makes of each message of the fleet's tasks."""

    def __init__(self, message: Any, *, connection_errors: Any = None, **options: Any) -> None:
        known = (*(connection_errors or ()), AttributeError)
        options |= {"body": message.payload, "decoded": True}
        super().__init__(message, connection_errors=known, **options)

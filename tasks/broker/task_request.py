"""A message that a worker was given, and whose connection may be gone before it is acknowledged.

A submit waits for its database as long as that takes. When the broker went away meanwhile, the
acknowledgement goes to a channel that Celery has collected: Kombu's for Redis no longer knows its
server then and ends in an `AttributeError`, which Celery takes for the end of the worker. Told that
this too is an error of a connection, it logs that the message could not be acknowledged. The broker
gives it out again; a repeated submit finds its row, a repeated dispatch a job that is taken.

The gate has read the message already, so it is not decoded once more for the pool.
"""

from typing import Any

from celery.worker.request import Request

__all__ = ["Delivered"]


class Delivered(Request):
    """What Celery makes of each message of the fleet's own tasks."""

    def __init__(self, message: Any, *, connection_errors: Any = None, **options: Any) -> None:
        known = (*(connection_errors or ()), AttributeError)
        options |= {"body": message.payload, "decoded": True}
        super().__init__(message, connection_errors=known, **options)

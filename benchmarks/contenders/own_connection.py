"""Keep one connection to a database for each thread, in autocommit, as the references do."""

import threading
from typing import Any

import psycopg

__all__ = ["own_connection"]

_of_thread = threading.local()


def own_connection(url: str) -> "psycopg.Connection[tuple[Any, ...]]":
    """Return this thread's connection; the first call of a thread makes it."""
    if not hasattr(_of_thread, "connection"):
        _of_thread.connection = psycopg.connect(url, autocommit=True)
    connection: psycopg.Connection[tuple[Any, ...]] = _of_thread.connection
    return connection

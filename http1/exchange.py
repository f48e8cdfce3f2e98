"""A request and the head of its answer, over a connection that a pool has open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import ProtocolError

from http1.answer import AnyAnswer, read_answer
from http1.request import send_request

__all__ = ["exchange"]

Pieces = Iterable[bytes | memoryview]
Send = Callable[[Any, bytes, Pieces], object]


def exchange(
    pool: Any, head: bytes, pieces: Pieces, *, silence_s: float | None, send: Send = send_request
) -> AnyAnswer | None:
    """Send a request once and wait for its answer.

    Args:
        pool: urllib3's, of one host.
        head: As `request_head` makes it.
        pieces: The body, as long as the head says.
        silence_s: The longest one while the answer is waited for, and read.
        send: Sends a request over a connection.

    Returns:
        The answer, to be closed and released; None where nothing was sent, as no connection is open
        or a proxy is to be told more than the host: then `urlopen` is the way.

    Raises:
        ProtocolError: What came is not HTTP, or nothing did (urllib3's).
        ReadTimeoutError: Nothing came for too long (urllib3's).
        OSError: The network's, and what else `send` raises.
    """
    if pool.proxy is not None:
        return None
    connection = pool._get_conn()  # noqa: SLF001 - urllib3 has no other name for it
    try:
        if connection.sock is None:
            pool._put_conn(connection)  # noqa: SLF001
            return None
        send(connection, head, pieces)
        connection.sock.settimeout(silence_s)
        return read_answer(connection, pool, method=head[: head.index(b" ")].decode())
    except BaseException as error:
        connection.close()
        pool._put_conn(connection)  # noqa: SLF001
        if isinstance(error, HTTPException):
            raise ProtocolError("no answer", error) from error
        raise

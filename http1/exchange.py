"""A request and the head of its answer, over one of a pool's connections, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from typing import Any

from urllib3.exceptions import ProtocolError

from http1.request import request_head, send_request
from http1.response import AnyAnswer, read_answer

__all__ = ["exchange", "over_open_connection"]

Pieces = Iterable[bytes | memoryview]
Send = Callable[[Any, bytes, Pieces], object]


def exchange(
    pool: Any,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    pieces: Pieces,
    timeout: Any,
    retries: Any,
    send: Send = send_request,
) -> AnyAnswer:
    """Send a request and wait for its answer: the short way, or as urllib3 has it.

    Args:
        pool: urllib3's, of one host; its connections' `response_class` is `FinalResponse`.
        method: Of the request.
        target: What is asked for, percent-encoded.
        headers: All of them, `Host` and `Content-Length` included.
        pieces: The body; gone through once.
        timeout: urllib3's.
        retries: urllib3's, none of which sends anything twice.
        send: Sends a request over a connection that is open.

    Returns:
        The final answer, to be closed and released; interim ones (1xx) are skipped.

    Raises:
        HTTPError: urllib3's; also for a 101, after which the connection is another protocol's.
        OSError: The network's, and what else `send` raises.
        ValueError: A header that cannot be written.
    """
    head = request_head(method, target, headers)
    answer = over_open_connection(pool, head, pieces, silence_s=timeout.read_timeout, send=send)
    return answer or pool.urlopen(
        method,
        target,
        body=pieces,
        headers=headers,
        timeout=timeout,
        retries=retries,
        redirect=False,
        assert_same_host=False,
        preload_content=False,
        decode_content=False,
    )


def over_open_connection(
    pool: Any, head: bytes, pieces: Pieces, *, silence_s: float | None, send: Send = send_request
) -> AnyAnswer | None:
    """The short way.

    Returns:
        The answer; None where nothing was sent, as no connection is open or a proxy is to be told
        more than the host.

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

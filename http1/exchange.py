"""Send one request and read the head of its response, over one of a pool's connections."""

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
    """Send a request and wait for its response, on the fast path or through urllib3.

    Args:
        pool: urllib3's, of one host; its connections' `response_class` is `FinalResponse`.
        method: Of the request.
        target: The request target, percent-encoded.
        headers: All of them, `Host` and `Content-Length` included.
        pieces: The body; iterated once.
        timeout: urllib3's.
        retries: urllib3's; they must not send anything twice.
        send: Sends a request over a connection that is open.

    Returns:
        The final response, to be closed and released; interim ones (1xx) are skipped.

    Raises:
        HTTPError: urllib3's; also for a 101, after which the connection uses another protocol.
        OSError: A network error, and what else `send` raises.
        ValueError: An invalid header.
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
    """Exchange on the fast path.

    Returns:
        The response; None if nothing was sent, because no connection is open or a proxy needs more
        than the host.

    Raises:
        ProtocolError: The response is not HTTP, or there is none (urllib3's).
        ReadTimeoutError: Nothing arrived for too long (urllib3's).
        OSError: A network error, and what else `send` raises.
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

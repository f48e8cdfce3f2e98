"""Read request bodies, and cut or slow down connections as a failing network would.

An ASGI app cannot reset its connection, so the protocol class passes its transport to every request
in an extension of the scope.
"""

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.answers import Answer, Receive, Send
from simulator.errors import BodyTooLarge, ClientGone

__all__ = ["OpenProtocol", "read_body", "reset", "send_half_then_reset", "trickle", "until_gone"]

Scope = MutableMapping[str, Any]
TRANSPORT = "simulator.transport"
MAX_BODY_BYTES = 96 * 1024 * 1024
LINGER_NONE = struct.pack(
    "ii", 1, 0
)  # socket(7): on, 0 s: close sends RST and drops what is queued
DRIP_S = 0.1


class OpenProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, with its transport in every scope."""

    def on_message_begin(self) -> None:
        """Add the transport to the scope that uvicorn has just made."""
        super().on_message_begin()  # type: ignore[no-untyped-call,unused-ignore]
        self.scope["extensions"] = cast(
            "dict[str, dict[object, object]]", {TRANSPORT: self.transport}
        )


async def read_body(receive: Receive) -> bytes:
    """Read the request's body to its end.

    Raises:
        ClientGone: The connection ended first.
        BodyTooLarge: The body is larger than this process accepts.
    """
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size_bytes += len(parts[-1])
        if size_bytes > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return b"".join(parts)


async def until_gone(receive: Receive) -> None:
    """Wait for the caller to disconnect."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset(scope: Scope, receive: Receive) -> None:
    """Cut the connection with a TCP reset, now."""
    transport = scope["extensions"][TRANSPORT]
    line: socket.socket | None = transport.get_extra_info("socket")
    if line is not None and not transport.is_closing():
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    transport.abort()
    await until_gone(receive)


async def send_half_then_reset(answer: Answer, scope: Scope, receive: Receive, out: Send) -> None:
    """Announce the whole answer, send half of it, and cut the connection."""
    await out(answer.start())
    half = answer.body[: len(answer.body) // 2]
    await out({"type": "http.response.body", "body": half, "more_body": True})
    await asyncio.sleep(DRIP_S)  # a reset drops what the kernel still holds; let some of it leave
    await reset(scope, receive)


async def trickle(answer: Answer, *, bytes_per_s: float, receive: Receive, out: Send) -> None:
    """Send an answer slowly until all of it is sent or the caller disconnects."""
    gone = asyncio.ensure_future(until_gone(receive))
    step = max(1, int(bytes_per_s * DRIP_S))
    pause_s = step / bytes_per_s
    await out(answer.start())
    try:
        for at in range(0, len(answer.body), step):
            drop = answer.body[at : at + step]
            more = at + step < len(answer.body)
            await out({"type": "http.response.body", "body": drop, "more_body": more})
            if (await asyncio.wait({gone}, timeout=pause_s if more else 0.001))[0]:
                return
    finally:
        gone.cancel()

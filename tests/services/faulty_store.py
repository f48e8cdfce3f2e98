"""A real S3 endpoint behind a network that damages what is put, and behind a check of its own.

`rclone serve s3` takes a body whatever SHA-256 was signed for it. AWS and others refuse one that is
another: that check is here, between the fault and the real store, and can be turned off.
"""

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.services.s3 import S3Endpoint
from tests.services.server import Server

__all__ = ["Fault", "FaultyStore", "drop", "faulty_store", "flip_bit", "pass_on", "truncate"]

Fault = Callable[[bytes], bytes | None]
"""What arrives of a body; None: nothing is stored, and the client hears that all is well."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_MISMATCH: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>XAmzContentSHA256Mismatch</Code>'
    b"<Message>The provided 'x-amz-content-sha256' header does not match what was computed."
    b"</Message></Error>"
)


def pass_on(body: bytes) -> bytes:
    """Store what was sent."""
    return body


def flip_bit(body: bytes) -> bytes:
    """Change one bit in the middle."""
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def truncate(body: bytes) -> bytes:
    """Lose the last byte."""
    return body[:-1]


def drop(body: bytes) -> None:
    """Store nothing, and say that it was stored."""
    del body


@dataclass
class FaultyStore:
    """Where it listens, and what it does.

    Attributes:
        endpoint: the bucket, at the faulty address.
        direct: the same bucket, at the real store's own.
        fault: of the PUT with this number, from 0.
        verifies: whether it compares a body with its signed SHA-256.
        digests: what each PUT had signed.
        refused: how many PUTs were refused for their SHA-256.
    """

    endpoint: S3Endpoint
    direct: S3Endpoint
    fault: Callable[[int], Fault] = lambda _: pass_on
    verifies: bool = True
    digests: list[str] = field(default_factory=list)
    refused: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def faulty_store(direct: S3Endpoint) -> Iterator[FaultyStore]:
    """Serve in front of a real store until the block ends."""
    port = int(direct.endpoint_url.rpartition(":")[2])
    server = _Threads((Server.host, 0), _handler(port, lambda: store))
    url = f"http://{Server.host}:{server.server_port}"
    store = FaultyStore(replace(direct, endpoint_url=url), direct)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(port: int, store_of: Callable[[], FaultyStore]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(size)
            if self.command == "PUT" and self.path.count("/") > 1:
                answer = _put(store_of(), port, self, body)
            else:
                answer = _passed_on(port, self, body)
            self._reply(*answer)

        def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            skipped = {"content-length", "connection", "transfer-encoding"}
            length = dict(headers).get("Content-Length", "0")
            for name, value in headers:
                if name.lower() not in skipped:
                    self.send_header(name, value)
            is_head = self.command == "HEAD"
            self.send_header("Content-Length", length if is_head else str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        do_PUT = do_GET = do_HEAD = do_DELETE = do_POST = _any  # noqa: N815 - the base class's names

    return Handler


Answer = tuple[int, list[tuple[str, str]], bytes]


def _put(store: FaultyStore, port: int, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
    signed = request.headers.get("x-amz-content-sha256", "")
    with store.guard:
        number = len(store.digests)
        store.digests.append(signed)
    arrived = store.fault(number)(body)
    if arrived is None:
        return 200, [("ETag", '"x"')], b""
    is_signed = _HEX.fullmatch(signed) is not None
    if store.verifies and is_signed and sha256(arrived).hexdigest() != signed:
        with store.guard:
            store.refused += 1
        return 400, [("Content-Type", "application/xml")], _MISMATCH
    return _passed_on(port, request, arrived)


def _passed_on(port: int, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
    """Ask the real store the same, with the `Host` that was signed."""
    dropped = {"content-length", "expect", "connection"}
    headers = {n: v for n, v in request.headers.items() if n.lower() not in dropped}
    connection = http.client.HTTPConnection(Server.host, port, timeout=20)
    try:
        connection.request(request.command, request.path, body=body or None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()

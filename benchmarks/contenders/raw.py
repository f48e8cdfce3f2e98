"""The raw limit: the cost of an image without any queue, table or library.

One thread, two sockets and one buffer. It requests an image, reads the answer in place, decodes its
base64, checks the PNG's CRC-32s with SIMD, hashes it and puts it. If it is given certificates to
trust, both sockets use TLS. `python -m benchmarks.contenders.raw` is a separate process, so that
the kernel charges it for nothing else. It prints milliseconds of CPU per image.
"""

import argparse
import hashlib
import json
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pybase64
from isal.isal_zlib import crc32

__all__ = ["main"]

HOST = "127.0.0.1"
BUFFER_BYTES = 4 << 20
END_OF_HEAD = b"\r\n\r\n"
REQUEST = b'{"prompt":"a quiet harbour at the raw limit","seed":7,"num_inference_steps":5}'
WARM_UP = 5


class Line:
    """A kept-alive connection that reads every answer into the same buffer."""

    def __init__(self, port: int, buffer: bytearray, tls: ssl.SSLContext | None) -> None:
        plain = socket.create_connection((HOST, port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=HOST)
        self._buffer = buffer
        self._view = memoryview(buffer)

    def ask(self, head: bytes, body: bytes) -> slice:
        """Send a request; return where the answer's body is in the buffer (until the next one)."""
        self._socket.sendall(head)
        if body:
            self._socket.sendall(body)
        have = 0
        while (end := self._buffer.find(END_OF_HEAD, 0, have)) < 0:
            have += self._receive(have)
        length = int(self._buffer[:end].lower().partition(b"content-length:")[2].split()[0])
        start = end + len(END_OF_HEAD)
        while have < start + length:
            have += self._receive(have)
        return slice(start, start + length)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self, have: int) -> int:
        received = self._socket.recv_into(self._view[have:])
        if not received:
            raise ConnectionError("the server hung up")
        return received


def check(png: bytes) -> str:
    """Check every chunk's CRC-32, and return the SHA-256 of all."""
    view, at = memoryview(png), 8
    while at < len(png):
        length = int.from_bytes(view[at : at + 4], "big")
        wanted = int.from_bytes(view[at + 8 + length : at + 12 + length], "big")
        if crc32(view[at + 4 : at + 8 + length]) != wanted:
            raise ValueError("a damaged chunk")
        at += 12 + length
    return hashlib.sha256(png).hexdigest()


def _images(args: argparse.Namespace, count: int) -> None:
    buffer, trusted = bytearray(BUFFER_BYTES), args.ca_bundle
    tls = None if trusted is None else ssl.create_default_context(cafile=trusted)
    post = (
        f"POST {args.path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {args.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(REQUEST)}\r\n\r\n"
    ).encode()
    with (
        closing(Line(args.api_port, buffer, tls)) as api,
        closing(Line(args.s3_port, bytearray(4096), tls)) as store,
    ):
        for number in range(count):
            png = _decoded(buffer, api.ask(post + REQUEST, b""))
            if args.checks:
                check(png)
            put = f"PUT /{args.bucket}/{number}.png HTTP/1.1\r\nHost: s\r\n"
            store.ask(f"{put}Content-Length: {len(png)}\r\n\r\n".encode(), png)


def _decoded(buffer: bytearray, answer: slice) -> bytes:
    """Decode the base64 between the brackets of `{"images":["..."]}` in place."""
    start = buffer.index(b'["', answer.start) + 2
    end = buffer.rindex(b'"]', start, answer.stop)
    return pybase64.b64decode(memoryview(buffer)[start:end], validate=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Make so many images and print what the kernel charged for one."""
    parser = argparse.ArgumentParser(prog="raw", description="CPU of an image at the raw limit.")
    parser.add_argument("--api-port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--s3-port", type=int, required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--checks", action="store_true")
    parser.add_argument("--ca-bundle", type=Path, metavar="FILE", help="speak TLS, and trust these")
    args = parser.parse_args(argv)
    _images(args, WARM_UP)
    before_s = time.process_time()
    _images(args, args.images)
    charged_s = time.process_time() - before_s
    sys.stdout.write(json.dumps({"cpu_ms": 1000 * charged_s / args.images}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

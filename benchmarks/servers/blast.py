"""Send prepared HTTP requests over kept-alive connections, at little cost to the machine.

One process, raw non-blocking sockets, and requests made beforehand. Of an answer only the status
and the length are read. Its own CPU is reported: about 50 µs a request, so it takes little from the
server that is measured on the same machine.
"""

import argparse
import json
import re
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.services.server import Server

__all__ = ["Blast", "get", "post", "run_blast"]

REPO = Path(__file__).parents[2]
HEAD_END = b"\r\n\r\n"
STATUS = slice(9, 12)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Blast:
    """What was sent, and how it was answered.

    Attributes:
        statuses: how many answers had each status.
        took_s: from the first request to the last answer.
        cpu_s: of the sender.
    """

    statuses: dict[str, int]
    took_s: float
    cpu_s: float
    median_ms: float
    p99_ms: float


def get(path: str) -> bytes:
    """Return a request without a body as it is sent."""
    return f"GET {path} HTTP/1.1\r\nHost: {Server.host}\r\n\r\n".encode("latin-1")


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it is sent."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {Server.host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END + body


def run_blast(port: int, requests: Sequence[bytes], *, clients: int, folder: Path) -> Blast:
    """Send requests from a process of its own, over so many connections at once.

    Raises:
        RuntimeError: the process failed, such as for a connection that was closed.
    """
    file = folder / "requests.json"
    file.write_text(json.dumps([request.decode("latin-1") for request in requests]))
    words = ["--port", str(port), "--clients", str(clients), "--file", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.servers.blast", *words],
        cwd=REPO,
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError("the requests could not be sent; what the sender said is above")
    return Blast(**json.loads(done.stdout))


class _Client:
    """One connection, which sends its next request when the last one is answered."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection((Server.host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._sent_at = 0.0
        self._answer = b""

    def send_next(self) -> bool:
        """Send the next request; return whether there was one."""
        request = next(self._requests, None)
        if request is None:
            return False
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)
        return True

    def read(self) -> tuple[str, float] | None:
        """Return status and seconds of an answer that is complete now."""
        chunk = self.socket.recv(CHUNK_BYTES)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self._answer += chunk
        head, end, body = self._answer.partition(HEAD_END)
        length = LENGTH.search(head)
        if not end or len(body) < int(length[1] if length else 0):
            return None
        self._answer = b""
        return head[STATUS].decode(), time.perf_counter() - self._sent_at


def send(port: int, requests: Sequence[bytes], clients: int) -> Blast:
    """Send all requests from this process."""
    queue = iter(requests)
    connections = [_Client(port, queue) for _ in range(clients)]
    statuses: Counter[str] = Counter()
    times_s: list[float] = []
    before_s, began = time.process_time(), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for client in connections:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send_next()
        while len(times_s) < len(requests):
            for key, _ in selector.select():
                answer = key.data.read()
                if answer is not None:
                    statuses[answer[0]] += 1
                    times_s.append(answer[1])
                    key.data.send_next()
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - before_s
    *_, p99 = statistics.quantiles(times_s, n=100)
    for client in connections:
        client.socket.close()
    return Blast(dict(statuses), took_s, cpu_s, 1000 * statistics.median(times_s), 1000 * p99)


def main(argv: Sequence[str] | None = None) -> int:
    """Send a file's requests, and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="blast", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="a JSON array of requests")
    asked = parser.parse_args(argv)
    requests = [text.encode("latin-1") for text in json.loads(asked.file.read_text())]
    sys.stdout.write(json.dumps(asdict(send(asked.port, requests, asked.clients))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

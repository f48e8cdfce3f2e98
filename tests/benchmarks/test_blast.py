"""The load generator sends every request once, and reads each answer whole."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.servers.blast import post, run_blast, send


class Answering(BaseHTTPRequestHandler):
    """Answers 202, and every fifth request 503, in two pieces."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]
    lock = threading.Lock()

    def do_POST(self) -> None:
        """Keep the body and answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.bodies.append(body)
            status = 503 if len(self.bodies) % 5 == 0 else 202
        self.send_response(status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"abc")
        self.wfile.flush()
        self.wfile.write(b"def")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server that keeps what it was sent."""
    Answering.bodies = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_each_request_is_sent_once_and_each_status_counted(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    """Over several connections, from this process and from one of its own."""
    requests = [post("/", {"X-Test": "1"}, b"body %d" % n) for n in range(20)]
    here = send(server.server_port, requests, clients=3)
    there = run_blast(server.server_port, requests, clients=3, folder=tmp_path)
    assert here.statuses == there.statuses == {"202": 16, "503": 4}
    assert sorted(Answering.bodies) == sorted([b"body %d" % n for n in range(20)] * 2)
    assert 0 < there.median_ms <= there.p99_ms


def test_a_server_that_closes_a_connection_is_an_error(tmp_path: Path) -> None:
    """Not a smaller count."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as refusing:
        threading.Thread(target=refusing.handle_request, daemon=True).start()
        with pytest.raises(RuntimeError):
            run_blast(refusing.server_port, [post("/", {}, b"")] * 2, clients=1, folder=tmp_path)

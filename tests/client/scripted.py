"""A server that answers as a test has written down, for what a real gateway does too rarely."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Line:
    """One answer; `hang_up` breaks off after the body, status 0 before anything is said."""

    status: int
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass(frozen=True)
class Heard:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """The answers in order (the last is repeated indefinitely), and the requests received."""

    url: str
    lines: list[Line]
    heard: list[Heard] = field(default_factory=list)


@contextmanager
def scripted(*lines: Line) -> Iterator[Script]:
    """Serve these answers on the loopback address."""
    script = Script("", list(lines))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.heard.append(Heard(self.command, self.path, headers, self._body()))
            line = script.lines.pop(0) if len(script.lines) > 1 else script.lines[0]
            if line.status == 0:
                self.close_connection = True
                return
            self.send_response(line.status)
            length = len(line.body) + (1000 if line.hang_up else 0)
            for name, value in {**line.headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # who has read enough may hang up
                self.wfile.write(line.body)
            self.close_connection = line.hang_up

        do_POST = do_GET  # noqa: N815 - the base class looks for this name

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Tests need no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

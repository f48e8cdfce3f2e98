"""Read a response's head, and skip interim responses (1xx) before the final one.

RFC 9110, section 15.2: a client must be able to parse any number of them. `http.client` skips 100
only; urllib3 and `requests` treat another, such as the `103 Early Hints` of a CDN, as the final
response. The adapter here makes connections that do not; no library is patched.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from email.parser import Parser
from typing import Any

from requests.adapters import HTTPAdapter

#: All interim heads before one final response together.
MAX_INTERIM_BYTES = 65_536
#: One final head: limited by its bytes, while `http.client` limits it to 100 lines.
MAX_HEAD_BYTES = 262_144

_SWITCHING_PROTOCOLS = b"101"  # what follows it is not HTTP
_OK = 200
_INTERIM = re.compile(rb"HTTP/1\.\S*[ \t]+(1\d\d)(?!\S)")
_END = re.compile(rb"\n\r?\n")
#: The headers from which `http.client` derives where the body ends, and whether the connection
#: stays open.
_FRAMING = ("connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding")


class FinalResponse(http.client.HTTPResponse):
    """A final response, whatever interim responses came before it."""

    def __init__(
        self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._sock = sock
        self._stream: Any = self.fp
        self._all_headers = http.client.HTTPMessage()

    def begin(self, *args: Any, **kwargs: Any) -> None:
        """Read the head, then give the caller all of its headers."""
        super().begin(*args, **kwargs)
        self.headers = self.msg = self._all_headers
        self.fp = self._stream

    def _read_status(self) -> tuple[str, int, str]:
        """Read the head, and leave `http.client` the lines that it needs.

        A tunnel through a proxy calls only this method.
        """
        line, _, lines = _final_head(self._stream, self._sock).partition(b"\n")
        self._all_headers = Parser(_class=http.client.HTTPMessage).parsestr(lines.decode("latin-1"))
        framing = "".join(
            f"{name}: {value}\r\n"
            for name, value in self._all_headers.items()
            if name.lower() in _FRAMING
        )
        self.fp = io.BytesIO(b"%b\n%b\r\n" % (line, framing.encode("latin-1")))  # type: ignore[assignment]  # all that is asked of it is there
        found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # no stub has it
        if found[1] < _OK:
            raise http.client.BadStatusLine(line.decode("latin-1"))
        return found

    def _close_conn(self) -> None:
        super()._close_conn()  # type: ignore[misc]  # no stub has it
        self._stream.close()


class FinalAdapter(HTTPAdapter):
    """`requests`' own adapter, whose connections have final responses only."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _use_final_responses(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        _use_final_responses(manager)
        return manager


def _use_final_responses(manager: Any) -> None:
    """Replace a manager's pool classes once: the same manager is returned many times."""
    pool_classes = manager.pool_classes_by_scheme.values()
    if all(each.ConnectionCls.response_class is FinalResponse for each in pool_classes):
        return
    manager.pool_classes_by_scheme = {
        scheme: _with_final_responses(pool_class)
        for scheme, pool_class in manager.pool_classes_by_scheme.items()
    }


def _with_final_responses(pool_class: Any) -> Any:
    connection_class = type(
        pool_class.ConnectionCls.__name__,
        (pool_class.ConnectionCls,),
        {"response_class": FinalResponse},
    )
    return type(pool_class.__name__, (pool_class,), {"ConnectionCls": connection_class})


def _final_head(stream: Any, sock: Any) -> bytes:
    """Read up to the end of the final response's head, all within the socket's timeout."""
    timeout_s = sock.gettimeout()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    interim_bytes = 0
    while True:
        head = _head(stream, sock, deadline, MAX_INTERIM_BYTES - interim_bytes)
        interim = _INTERIM.match(head)
        if interim is None:
            sock.settimeout(timeout_s)
            return head
        if interim[1] == _SWITCHING_PROTOCOLS:
            raise http.client.HTTPException("the server switched to another protocol")
        interim_bytes += len(head)


def _head(stream: Any, sock: Any, deadline: float | None, most_interim_bytes: int) -> bytes:
    head = bytearray()
    while True:
        if deadline is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:  # Python 3.9 has only this name for a timeout
                raise socket.timeout("no final response came in time")
            sock.settimeout(left_s)
        piece = stream.peek()
        if not piece:
            raise _closed_within(head)
        before = len(head)
        head += piece
        end = _end_of(head, max(0, before - 2))
        stream.read(end - before if end else len(piece))
        del head[end or len(head) :]
        limit_bytes = most_interim_bytes if _INTERIM.match(head) else MAX_HEAD_BYTES
        if len(head) > limit_bytes:
            raise http.client.HTTPException(f"a response's head is larger than {limit_bytes} bytes")
        if end:
            return bytes(head)


def _end_of(head: bytearray, start: int) -> int:
    """Return where a head ends, or where its first line ends if it is not HTTP; 0 if not yet."""
    line_end = head.find(b"\n") + 1
    if line_end and not head.startswith(b"HTTP/"):
        return line_end
    found = _END.search(head, start)
    return found.end() if found else 0


def _closed_within(head: bytearray) -> http.client.HTTPException:
    if not head:
        return http.client.RemoteDisconnected("closed without a final response")
    return http.client.IncompleteRead(b"")

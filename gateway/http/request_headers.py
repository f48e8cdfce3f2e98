"""Refuse requests whose headers a proxy in front of the gateway may read differently.

RFC 9112: section 3.2 (one valid `Host` in every HTTP/1.1 request) and section 6.1 (no
`Transfer-Encoding` in HTTP/1.0). No RFC says which of two `Authorization` headers counts, so a
proxy might check one and the gateway the other. The parser itself refuses ambiguous lengths.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import RequestMalformed
from gateway.http.problems import problem_of

__all__ = ["CheckHeaders"]

_AT_MOST_ONE: Final = (b"host", b"authorization", b"content-type", b"idempotency-key")
# RFC 3986, section 3.2.2: an address in brackets, or a name, which may be empty; then a port.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.%]*\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?", re.ASCII)


class CheckHeaders:
    """Wrap every route: answer a request with such headers with 400, and close its connection.

    Args:
        app: the app that answers all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = _malformed(scope) if scope["type"] == "http" else None
        app = self._app if found is None else problem_of(RequestMalformed(found))
        await app(scope, receive, send)


def _malformed(scope: Scope) -> str | None:
    """Return what is wrong with a request's headers; None if nothing is."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    names = [name for name, _ in headers]
    for name in _AT_MOST_ONE:
        if names.count(name) > 1:
            return f"more than one {name.decode().title()} header"
    if scope["http_version"] == "1.0":
        return "Transfer-Encoding in HTTP/1.0" if b"transfer-encoding" in names else None
    if scope["http_version"] != "1.1":
        return f"HTTP/{scope['http_version']} in the form of HTTP/1.1"
    return _malformed_values(dict(headers))


def _malformed_values(headers: Mapping[bytes, bytes]) -> str | None:
    if b"host" not in headers:
        return "no Host header"
    if not _HOST.fullmatch(headers[b"host"]):
        return "an invalid Host header"
    # The parser also accepts `gzip, chunked`, and decompresses nothing.
    coding = headers.get(b"transfer-encoding", b"chunked").lower()
    return None if coding == b"chunked" else "a Transfer-Encoding other than chunked"

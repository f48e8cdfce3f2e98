"""Interim responses as servers, proxies and CDNs send them, for the tests of every client."""

from typing import Final

HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)

#: What comes before a final response and is to be skipped.
INTERIM: Final[dict[str, bytes]] = {
    "100": CONTINUE,
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": HINTS,
    "100 and 103": CONTINUE + HINTS,
    "a status that nobody knows": b"HTTP/1.1 199 Whatever\r\n\r\n",
    "no reason": b"HTTP/1.1 103\r\n\r\n",
    "old": b"HTTP/1.0 103 Early Hints\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 103 Early Hints\nLink: x\n\n",
    "a length": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
    "many headers": b"HTTP/1.1 103 Early Hints\r\n" + b"Link: x\r\n" * 500 + b"\r\n",
    "many": b"HTTP/1.1 102 Processing\r\n\r\n" * 2000,
}

#: More of them than one response may have.
TOO_MANY: Final = HINTS * 2000

#: More lines than `http.client` takes.
MANY_LINES: Final = b"X-Line: 1\r\n" * 1000

"""Recognise the head of a response whose body is simply the next bytes, and read its headers.

`http.client` reads any head, but parses its lines as those of an e-mail, which takes more time than
all else in the delivery of a webhook. It gets the heads that are not recognised here.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final

from urllib3 import HTTPHeaderDict

__all__ = ["SIZE", "OpenedSocket", "usual_headers"]

#: The value of `Content-Length`.
SIZE: Final = re.compile(r"\d{1,18}", re.ASCII)
# RFC 9110, 5.6.2: the characters of a name.
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)")


def usual_headers(head: bytes, status_line: re.Pattern[bytes]) -> HTTPHeaderDict | None:
    """Return the headers of a head with such a status line; None if its framing is not plain.

    It is plain if the head states one length, has no transfer coding, and keeps the connection
    open. Repeated headers are joined with commas, so a repeated length is not a number.
    """
    first, *lines = head.split(b"\r\n")
    if status_line.fullmatch(first) is None or lines[-2:] != [b"", b""]:
        return None
    headers = HTTPHeaderDict()
    for line in lines[:-2]:
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        headers.add(found[1].decode(), found[2].strip(b" \t").decode("latin-1"))
    says_its_size = SIZE.fullmatch(headers.get("Content-Length", ""))
    stays_open = headers.get("Connection", "keep-alive").lower() == "keep-alive"
    return headers if says_its_size and stays_open and "Transfer-Encoding" not in headers else None


class OpenedSocket:
    """A socket already opened as a file, for `http.client`, which opens it itself."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> BinaryIO:
        """Return the file."""
        return self._stream

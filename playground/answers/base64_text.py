"""Decode base64 that strict decoders refuse: line breaks, the url-safe alphabet, no padding.

An image's own checksums decide whether it is intact, so lenient base64 decoding loses no safety.
"""

import re
from collections.abc import Iterator
from typing import Final

import pybase64

#: How the base64 of every PNG begins: its signature's eight bytes, and four zero bits.
BASE64_PNG: Final = "iVBORw0KGgo"

_DATA_URL: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)
_MAX_HEAD_CHARS: Final = 256

# Both alphabets, padding, white space (also invisible characters), and the escapes of a text that
# was encoded as JSON or as a form twice.
_DIGITS: Final = r"[A-Za-z0-9+/_=\s\u200b\ufeff-]"
_ESCAPE: Final = r"\\+[nrt/]|\\+u00[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2}"
_RUN: Final = re.compile(rf"{_DIGITS}++(?:(?:{_ESCAPE}){_DIGITS}*+)*+")
_ESCAPED: Final = re.compile(_ESCAPE)
_INVISIBLE: Final = re.compile(r"[^\x00-\x7f]+")

_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_WHITE: Final = b" \t\r\n\v\f\x1c\x1d\x1e\x1f"
_GROUP: Final = 4


def runs_of_base64(text: str) -> Iterator[tuple[int, str]]:
    """Find the base64 of PNGs in a text; characters outside the alphabet delimit it.

    Yields:
        Where each begins, and its text.
    """
    for found in _RUN.finditer(text):
        if found[0].lstrip().startswith(BASE64_PNG):
            yield found.start(), found[0]


def decode_base64(text: object) -> bytes:
    """Decode base64 text, with or without the head of a `data:` URL.

    Raises:
        ValueError: it is not text, or has a character that no base64 variant has.
    """
    if not isinstance(text, str):
        raise ValueError(type(text).__name__)  # noqa: TRY004 - one except clause for all that is not base64
    head = _DATA_URL.match(text.strip()[:_MAX_HEAD_CHARS])
    body = text.strip()[head.end() :] if head else text
    if body and _RUN.fullmatch(body) is None:
        raise ValueError("not base64")
    return _decoded(_INVISIBLE.sub("", _ESCAPED.sub(_unescape, body)).encode())


def _unescape(escape: re.Match[str]) -> str:
    code = escape[0].lstrip("\\")
    if code in {"n", "r", "t"}:
        return "\n"
    return code if code == "/" else chr(int(code[-2:], 16))


def _decoded(body: bytes) -> bytes:
    digits = body.translate(_STANDARD, _WHITE).partition(b"=")[0]
    if len(digits) % _GROUP == 1:  # six bits are not a byte
        digits = digits[:-1]
    return pybase64.b64decode(digits + b"=" * (-len(digits) % _GROUP), validate=True)

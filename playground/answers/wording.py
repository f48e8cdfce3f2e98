"""Extract a code and a message from a response's body, whatever its form.

The page documents neither the form of a failure nor any code but one. So every plausible form is
read. If none matches, the text itself is shortened for people.
"""

import re
from collections.abc import Iterator
from typing import Final

import orjson

from playground.answers.markup import visible_text
from playground.request.vocabulary import PROMPT_UNSAFE

MAX_MESSAGE_CHARS: Final = 500
MAX_BODY_BYTES: Final = 65_536
_MAX_DEPTH: Final = 4
_MAX_SIBLINGS: Final = 20

_CODE_KEYS: Final = ("code", "error_code", "errorCode", "type", "name")
_MESSAGE_KEYS: Final = ("message", "error_message", "errorMessage", "msg", "detail", "description",
                        "title", "reason", "error")  # fmt: skip
_INNER_KEYS: Final = ("error", "errors", "detail", "details", "message", "data")

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}", re.ASCII)
_BEARER: Final = re.compile(r"(bearer\s+)\S+", re.IGNORECASE)


def code_and_message(body: bytes) -> tuple[str | None, str]:
    """Read a failure's code and message.

    Args:
        body: a response's bytes, of any kind; only the first 64 KiB are read.

    Returns:
        The code or None, and a message of at most 500 characters (may be empty).
    """
    seen = body[:MAX_BODY_BYTES]
    try:
        parsed = orjson.loads(seen)
    except ValueError:
        text = seen.decode("utf-8", "replace")
        return _unsafe_in(text), plain(visible_text(text))
    code, message = _words_of(parsed)
    return _unsafe_in(seen.decode("utf-8", "replace")) or code, message


def _words_of(parsed: object) -> tuple[str | None, str]:
    """Read a code and a message out of parsed JSON of any form."""
    nodes = list(_nodes(parsed, _MAX_DEPTH))
    code = next(_codes(nodes), None)
    message = next(_messages(nodes), None)
    if message is None:
        message = parsed if isinstance(parsed, str) else ""
    return code, plain(message)


def plain(text: str) -> str:
    """Make text fit for one line of a log or table: printable, short, without bearer tokens."""
    masked = _BEARER.sub(r"\1***", text)
    line = " ".join("".join(c if c.isprintable() else " " for c in masked).split())
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"


def _unsafe_in(text: str) -> str | None:
    return PROMPT_UNSAFE if PROMPT_UNSAFE in text.upper() else None


def _nodes(value: object, depth: int) -> Iterator[dict[str, object]]:
    """Yield the dicts in which a failure is usually described, outermost first."""
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value[:_MAX_SIBLINGS]:
            yield from _nodes(item, depth - 1)
    elif isinstance(value, dict):
        yield value
        for key in _INNER_KEYS:
            yield from _nodes(value.get(key), depth - 1)


def _codes(nodes: list[dict[str, object]]) -> Iterator[str]:
    for key in (*_CODE_KEYS, "error"):
        for node in nodes:
            value = node.get(key)
            if isinstance(value, str) and _CODE.fullmatch(value):
                yield value


def _messages(nodes: list[dict[str, object]]) -> Iterator[str]:
    for key in _MESSAGE_KEYS:
        for node in nodes:
            value = node.get(key)
            if isinstance(value, str) and value.strip():
                yield value

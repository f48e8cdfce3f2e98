"""Parse and look up dotted paths into a payload: `product.images.0.src`.

A number is an index into a list; in an object it is a name like any other. A backslash escapes the
next character, for names that contain a dot.
"""

import re
from typing import Any, Final

from gateway.hooks.errors import TemplateFaulty

__all__ = ["MISSING", "Path", "dotted", "look_up", "parse_path", "split_unescaped", "unescaped"]

Path = tuple[str, ...]
"""The names and numbers of a path, in order."""

#: What `look_up` returns if the path has no value; JSON's null is a value.
MISSING: Final = object()

#: An index into a list; no payload has lists of a billion.
_INDEX: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def parse_path(text: str) -> Path:
    """Parse the written form of a path.

    Raises:
        TemplateFaulty: a part of it is empty.
    """
    parts = tuple(unescaped(part) for part in split_unescaped(text.strip(), "."))
    if not all(parts):
        raise TemplateFaulty("a dotted path such as product.images.0.src")
    return parts


def look_up(payload: Any, path: Path) -> Any:
    """Return the payload's value at a path, or `MISSING`."""
    found = payload
    for part in path:
        if isinstance(found, dict):
            found = found.get(part, MISSING)
        elif isinstance(found, list) and _INDEX.fullmatch(part) and int(part) < len(found):
            found = found[int(part)]
        else:
            return MISSING
    return found


def dotted(path: Path) -> str:
    """Return the written form of a path."""
    return ".".join(re.sub(r"([\\.|{}])", r"\\\1", part) for part in path)


def split_unescaped(text: str, separator: str, maxsplit: int = 0) -> list[str]:
    """Split at a character unless a backslash precedes it; backslashes are kept."""
    pieces: list[str] = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            pieces[-1] += character + next(characters, "")
        elif character == separator and not 0 < maxsplit < len(pieces):
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def unescaped(text: str) -> str:
    """Return a text without its escaping backslashes."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)

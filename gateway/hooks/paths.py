"""Dotted paths into a payload: `product.images.0.src`.

A number picks from a list; in an object it is a name like any other. A backslash takes the special
meaning from the character after it, for names that hold a dot.
"""

import re
from typing import Any, Final

from gateway.hooks.errors import TemplateFaulty

__all__ = ["MISSING", "Path", "dotted", "look_up", "parse_path", "split_unescaped", "unescaped"]

Path = tuple[str, ...]
"""The names and numbers of a path, one after another."""

#: What `look_up` returns where there is nothing; JSON's null is a value.
MISSING: Final = object()

#: A place in a list; no payload has lists of a billion.
_INDEX: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def parse_path(text: str) -> Path:
    """A path from its written form.

    Raises:
        TemplateFaulty: a part of it is empty.
    """
    parts = tuple(unescaped(part) for part in split_unescaped(text.strip(), "."))
    if not all(parts):
        raise TemplateFaulty("a dotted path such as product.images.0.src")
    return parts


def look_up(payload: Any, path: Path) -> Any:
    """What a payload has at a path, or `MISSING`."""
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
    """The written form of a path."""
    return ".".join(re.sub(r"([\\.|{}])", r"\\\1", part) for part in path)


def split_unescaped(text: str, separator: str, maxsplit: int = 0) -> list[str]:
    """Split at a character, but not where a backslash is before it; backslashes stay."""
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
    """A text without the backslashes that took a meaning away."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)

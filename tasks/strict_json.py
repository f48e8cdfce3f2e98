"""Refuse JSON from outside that the standard parser accepts, and that parsers read differently.

The functions are hooks of `json.loads` and `json.JSONDecoder`. Requests over HTTP and the lines of
batch files are parsed with them.
"""

from collections.abc import Iterable
from typing import Any, Never

__all__ = ["KeyRepeated", "NotStrict", "no_constant", "once_each"]


class NotStrict(ValueError):
    """The text is no strict JSON; the message completes the sentence of the caller."""


class KeyRepeated(NotStrict):
    """An object has a key twice.

    Attributes:
        key: the first one that is repeated, shortened.
    """

    def __init__(self, key: str) -> None:
        self.key = key[:80]
        super().__init__(f"{self.key!r} is there twice")


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a hook for `object_pairs_hook`.

    Raises:
        KeyRepeated: a key comes twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise KeyRepeated(_repeated(key for key, _ in pairs))
    return found


def no_constant(word: str) -> Never:
    """Refuse `NaN`, `Infinity` and `-Infinity`; a hook for `parse_constant`.

    Raises:
        NotStrict: always.
    """
    raise NotStrict(f"{word} is no JSON number")


def _repeated(keys: Iterable[str]) -> str:
    """Return the first repeated key, in one pass: an object may have thousands of keys."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("unreachable: one is repeated")

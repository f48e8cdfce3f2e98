"""Check JSON from outside for what the standard parser accepts: repeated keys."""

from collections.abc import Iterable
from typing import Any

__all__ = ["repeated_key"]


def repeated_key(pairs: Iterable[tuple[str, Any]]) -> str | None:
    """Return the first repeated key of an object, or None.

    This takes one pass over the pairs: an object may have thousands of keys.
    """
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None

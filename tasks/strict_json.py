"""Rules for JSON from outside that the standard parser does not have."""

from collections.abc import Iterable
from typing import Any

__all__ = ["repeated_key"]


def repeated_key(pairs: Iterable[tuple[str, Any]]) -> str | None:
    """Return the first key of an object that comes a second time, or None.

    One pass over the pairs: an object may have thousands of keys, and the last may be the repeat.
    """
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None

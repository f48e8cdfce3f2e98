"""Read `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).

The API's responses and those of webhooks' receivers are read here. The client has its own reader,
as it imports nothing of the fleet; both are tested with the same cases.
"""

import math
import re
import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

__all__ = ["retry_after_s"]

_SECONDS: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)


class Headers(Protocol):
    """A response's headers, names in any case."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return all names and values."""


def retry_after_s(headers: Headers, *, cap_s: float = math.inf) -> float | None:
    """Read `Retry-After`.

    Args:
        headers: of a response.
        cap_s: the longest wait that is believed.

    Returns:
        Seconds from now, from 0 to `cap_s`; None if the header is absent or invalid.
    """
    value = _header(headers, "retry-after").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), cap_s)
    then = _timestamp(value)
    if then is None:
        return None
    # The date is by the other side's clock: if it sends `Date`, that clock is used.
    now = _timestamp(_header(headers, "date"))
    return min(max(then - (time.time() if now is None else now), 0.0), cap_s)


def _header(headers: Headers, name: str) -> str:
    """Return a header's value; an absent one is empty text."""
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _timestamp(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None

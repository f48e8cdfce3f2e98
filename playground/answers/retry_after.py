"""Read `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).

The header comes from outside. Its value is limited, so that no response can stop a fleet for a day.
"""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_S: Final = 3600.0
_SECONDS: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`.

    Args:
        headers: a response's headers, names in any case.

    Returns:
        Seconds from now, from 0 to 3600; None if the header is absent or invalid.
    """
    value = header(headers, "retry-after").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), MAX_RETRY_AFTER_S)
    then = _timestamp(value)
    if then is None:
        return None
    # The API's own clock, if it sends one: this machine's may be off.
    now = _timestamp(header(headers, "date")) or time.time()
    return min(max(then - now, 0.0), MAX_RETRY_AFTER_S)


def header(headers: Mapping[str, str], name: str) -> str:
    """Look up a header, ignoring case; an absent one is empty text."""
    for key, value in headers.items():
        if key.lower() == name:
            return value
    return ""


def _timestamp(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None

"""Parse the `Retry-After` header of a webhook's receiver (RFC 9110, 10.2.3).

The schedule limits the wait (`schedule.py`).
"""

import re
import time
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final

_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)


def retry_after_s(headers: Message) -> float | None:
    """Return the wait that the header asks for, given as seconds or as a date.

    Args:
        headers: the headers of an answer.

    Returns:
        Seconds from now, never negative; None if the header is missing or invalid.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _seconds_since_1970(text)
    if until is None:
        return None
    # The date is by the receiver's clock: if it sends `Date`, that is used instead of our clock.
    now = _seconds_since_1970(headers.get("Date", ""))
    return max(until - (time.time() if now is None else now), 0.0)


def _seconds_since_1970(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None

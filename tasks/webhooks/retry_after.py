"""How long a webhook's receiver asks us to wait: `Retry-After` (RFC 9110, 10.2.3).

Only read here; how much of it is granted is the schedule's business.
"""

import re
import time
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final

_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)


def retry_after_s(headers: Message) -> float | None:
    """Read the header, which is a number of seconds or a date.

    Args:
        headers: an answer's.

    Returns:
        Seconds from now, never negative; None if the header is absent or makes no sense.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _seconds_since_1970(text)
    if until is None:
        return None
    # A date is by the receiver's clock; where it tells the time, ours need not agree with it.
    now = _seconds_since_1970(headers.get("Date", ""))
    return max(until - (time.time() if now is None else now), 0.0)


def _seconds_since_1970(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None

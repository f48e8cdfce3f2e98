"""Values of `Retry-After` (RFC 9110, 10.2.3), for the fleet's own reader and for the client's."""

from typing import Final

__all__ = ["NOON", "RETRY_AFTER_CASES"]

NOON: Final = "Wed, 21 Oct 2015 12:00:00 GMT"

#: The header, the other side's `Date`, and the seconds to wait; None if the header says nothing.
RETRY_AFTER_CASES: Final = [
    ("0", NOON, 0.0),
    ("7", NOON, 7.0),
    (" 120 ", NOON, 120.0),
    ("1.5", NOON, 1.5),
    ("99999999", NOON, 99999999.0),
    ("Wed, 21 Oct 2015 12:00:30 GMT", NOON, 30.0),
    ("Wed, 21 Oct 2015 11:00:00 GMT", NOON, 0.0),
    ("Wed, 21 Oct 2015 12:00:30 GMT", "", 0.0),
    ("Wed, 21 Oct 2015 12:00:30 GMT", "yesterday", 0.0),
    ("Thu, 01 Jan 1970 00:00:10 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", 10.0),
    ("-1", NOON, None),
    ("-5", NOON, None),
    ("+5", NOON, None),
    ("5 s", NOON, None),
    ("1e3", NOON, None),
    ("1_0", NOON, None),
    (".5", NOON, None),
    ("5.", NOON, None),
    ("nan", NOON, None),
    ("inf", NOON, None),
    ("soon", NOON, None),
    ("", NOON, None),
    ("\u0661", NOON, None),
    ("9" * 40, NOON, None),
    ("9" * 400, NOON, None),
    ("Wed, 99 Xxx 1", NOON, None),
]

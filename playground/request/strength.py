"""Convert `strength` to its wire form: the page types it as a string, producers use a number.

A producer's own decimal text is kept as it is. A number is written as plain decimal text, never
with an exponent, because the page does not say whether the API accepts one.
"""

import math
import re
from decimal import Decimal
from typing import Final

_PLAIN_DECIMAL: Final = re.compile(r"(?:\d+\.?\d*|\.\d+)", re.ASCII)
_MAX_CHARS: Final = 64


def strength_text(value: object) -> str:
    """Return a strength in its wire form.

    Args:
        value: a number from 0 to 1, or such a number as decimal text.

    Returns:
        Plain decimal text.

    Raises:
        ValueError: it is neither, or out of range.
    """
    if isinstance(value, str):
        return _checked_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(type(value).__name__)  # noqa: TRY004 - pydantic collects ValueError only
    if not _in_range(value):
        raise ValueError("out of range")
    return f"{abs(Decimal(repr(float(value)))).normalize():f}"


def _checked_text(text: str) -> str:
    if len(text) > _MAX_CHARS or not _PLAIN_DECIMAL.fullmatch(text) or not _in_range(float(text)):
        raise ValueError("not a plain decimal from 0 to 1")
    return text


def _in_range(value: float) -> bool:
    """Return whether 0 ≤ value ≤ 1, without converting a huge whole number to a float."""
    return 0 <= value <= 1 and (isinstance(value, int) or math.isfinite(value))

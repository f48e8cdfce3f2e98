"""JSON as a row keeps it: both databases are given the same text, and refuse the same values."""

import json
import re
from typing import Any, Final

from storage.db.sql_errors import NotJson

__all__ = ["JsonText", "json_text"]

# Made once: `json.dumps` makes an encoder for each call that wants anything but its defaults.
_ENCODE: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

# A NUL as JSON writes it, not preceded by an odd number of backslashes. PostgreSQL's jsonb
# cannot hold one, so SQLite may not either: both must refuse the same jobs.
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class JsonText(str):
    """JSON that is written already, by whoever had checked the value; a row keeps it as it is."""

    __slots__ = ()


def json_text(value: Any) -> JsonText:
    """Write a value for a row.

    Raises:
        NotJson: JSON, or PostgreSQL's idea of it, cannot hold it.
    """
    if isinstance(value, JsonText):
        return value
    try:
        text = _ENCODE(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if "\\u0000" in text and _NUL.search(text):
        raise NotJson("a NUL character, which PostgreSQL cannot keep")
    return JsonText(text)

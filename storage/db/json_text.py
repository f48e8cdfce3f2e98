"""Write JSON for a row; both databases get the same text and refuse the same values."""

import json
import re
from typing import Any, Final

from storage.db.sql_errors import NotJson

__all__ = ["JsonText", "json_text"]

# Made once: `json.dumps` makes an encoder for each call with options other than its defaults.
_ENCODE: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

# A NUL as JSON writes it, not preceded by an odd number of backslashes. PostgreSQL's jsonb cannot
# hold one. SQLite refuses it too, so that both databases refuse the same jobs.
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class JsonText(str):
    """Mark text that is already valid JSON, checked by its writer; a row keeps it unchanged."""

    __slots__ = ()


def json_text(value: Any) -> JsonText:
    """Write a value as JSON for a row.

    Raises:
        NotJson: JSON or PostgreSQL's jsonb cannot hold the value.
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

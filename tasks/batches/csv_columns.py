"""Convert the text of a CSV cell, or of `--set` on the command line, into a value.

The schema of the request gives the type of each parameter. If a text cannot be converted, it stays
text, and the check of the request reports the fault.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from playground.request.schema import request_schema
from tasks.errors import LinesUnreadable
from tasks.json_limits import MAX_VALUES, has_excess

__all__ = ["JOB_FIELDS", "Cells", "parameters", "value_of"]

#: Fields of a line about its job, besides the request's parameters.
JOB_FIELDS: Final = ("key", "metadata", "priority")

_SWITCH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WHOLE: Final = re.compile(r"[+-]?\d{1,18}")
_BETWEEN_TOPICS: Final = "|"

#: Limit of listed faults of a header: an unrelated file may have thousands of columns.
_SHOWN: Final = 20


class Cells:
    """Maps the cells of a CSV record to named values.

    Args:
        line: the line number of the header.
        header: the header's cells.
        given: parameters that need no column.

    Raises:
        LinesUnreadable: the header has an unknown or repeated column, or no `prompt`.
    """

    def __init__(self, line: int, header: Sequence[str], given: frozenset[str]) -> None:
        self._names = [cell.strip() for cell in header]
        known = (*parameters(), *JOB_FIELDS)
        wrong = [f"{name[:80]!r} is no column" for name in self._names if name not in known]
        wrong += [
            f"column {name!r} is there twice"
            for name in dict.fromkeys(self._names)
            if name in known and self._names.count(name) > 1
        ]
        if "prompt" not in {*self._names, *given}:
            wrong.insert(0, "the column 'prompt' is missing")
        if wrong:
            known_text = ", ".join(known)
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise LinesUnreadable(
                f"line {line}: {'; '.join(wrong[:_SHOWN])}{more} (the first line names the "
                f"columns, separated by commas, from: {known_text})"
            )

    def row(self, cells: Sequence[str]) -> dict[str, Any] | str:
        """Return the values of the non-empty cells by name, or why the record is invalid."""
        if len(cells) != len(self._names):
            return f"{len(cells)} cells where the header has {len(self._names)}"
        pairs = zip(self._names, cells, strict=True)
        return {name: value_of(name, cell) for name, cell in pairs if cell != ""}


def parameters() -> tuple[str, ...]:
    """Return the names of the request's parameters."""
    return tuple(_types())


def value_of(name: str, text: str) -> Any:
    """Return the value of a text for this parameter; the text itself if it has none."""
    kind = "object" if name == "metadata" else _types().get(name, "string")
    bare = text.strip()
    if (kind == "integer" or name == "priority") and _WHOLE.fullmatch(bare):
        return int(bare)
    if kind == "boolean":
        return _SWITCH.get(bare.lower(), text)
    if kind == "array" and text.count(_BETWEEN_TOPICS) < MAX_VALUES:
        return [topic.strip() for topic in text.split(_BETWEEN_TOPICS)]
    if kind == "object":
        return _json_or_text(text)
    return text


def _json_or_text(text: str) -> Any:
    if has_excess(text.encode()):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@cache
def _types() -> dict[str, str]:
    """Return the JSON type of each parameter, by name."""
    return {name: _type(schema) for name, schema in request_schema()["properties"].items()}


def _type(schema: dict[str, Any]) -> str:
    options = schema.get("anyOf", [schema])
    kinds = [str(option["type"]) for option in options if option.get("type") not in {None, "null"}]
    return kinds[0] if len(set(kinds)) == 1 else "string"

"""Map a payload to a request, by values with `{placeholders}` that are not a programming language.

`{product.title}` stands for the payload's value at that path. `{product.title|untitled}` has a
default, used if the value is missing, null or an empty text: senders differ in how they express
"not set". If a value is a single placeholder, it keeps its JSON type. Within a text only texts,
numbers and true/false are allowed. `{{` and `}}` are braces. There are no conditions, loops or
filters: for those, write a program that uses the HTTP interface.

Whether the API accepts the resulting request is not decided here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gateway.hooks.errors import PayloadUnfit, TemplateFaulty
from gateway.hooks.paths import (
    MISSING,
    Path,
    dotted,
    look_up,
    parse_path,
    split_unescaped,
    unescaped,
)
from playground.errors import Fault
from tasks.strict_json import no_constant

__all__ = ["Template", "Text", "fill", "fill_all", "has_placeholders", "parse_template"]

#: A doubled brace, a placeholder, a single brace (a fault), or any other text.
_PIECE: Final = re.compile(r"\{\{|\}\}|\{(?:[^{}\\]|\\.)*\}|[{}]|[^{}]+", re.DOTALL)

_MAX_SHOWN_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A reference to a value in the payload.

    Attributes:
        path: the path to the value.
        default: used if the payload has no value there; None if that is a fault.
        written: as written in the file, for fault messages.
    """

    path: Path
    default: str | None
    written: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text with at least one placeholder, as its pieces in order."""

    pieces: tuple[str | Placeholder, ...]


Template: TypeAlias = Any
"""JSON whose texts are plain, or a `Text`."""


def parse_template(raw: Any) -> Template:
    """Parse a value of the file into a template.

    Raises:
        TemplateFaulty: a brace stands alone, or a placeholder has no path.
    """
    if isinstance(raw, str):
        return _parse_text(raw)
    if isinstance(raw, Mapping):
        return {str(name): parse_template(value) for name, value in raw.items()}
    if isinstance(raw, (list, tuple)):
        return [parse_template(value) for value in raw]
    return raw


def has_placeholders(template: Template) -> bool:
    """Return whether any part of a template depends on the payload."""
    if isinstance(template, dict):
        return any(map(has_placeholders, template.values()))
    if isinstance(template, list):
        return any(map(has_placeholders, template))
    return isinstance(template, Text)


def fill_all(templates: Mapping[str, Template], payload: Any) -> dict[str, Any]:
    """Fill in several templates.

    Args:
        templates: by the field that each is for.
        payload: parsed JSON.

    Returns:
        The values, by the same fields.

    Raises:
        PayloadUnfit: every placeholder without a value in the payload, by field.
    """
    faults: list[Fault] = []
    values = {name: fill(template, payload, name, faults) for name, template in templates.items()}
    if faults:
        raise PayloadUnfit(faults)
    return values


def fill(template: Template, payload: Any, field: str, faults: list[Fault]) -> Any:
    """Fill in one template; missing values are added to `faults` under this field."""
    if isinstance(template, dict):
        return {
            name: fill(value, payload, f"{field}.{name}", faults)
            for name, value in template.items()
        }
    if isinstance(template, list):
        return [
            fill(value, payload, f"{field}[{index}]", faults)
            for index, value in enumerate(template)
        ]
    if not isinstance(template, Text):
        return template
    if len(template.pieces) == 1:
        return _alone(template.pieces[0], payload, field, faults)
    return "".join(_within(piece, payload, field, faults) for piece in template.pieces)


def _parse_text(raw: str) -> str | Text:
    pieces: list[str | Placeholder] = []
    for piece in _PIECE.findall(raw):
        if piece in {"{", "}"}:
            raise TemplateFaulty("a text in which a brace that is no placeholder is doubled")
        plain = piece[0] if piece in {"{{", "}}"} else piece
        if piece[0] == "{" and piece[-1] == "}":
            pieces.append(_parse_placeholder(piece))
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += plain
        else:
            pieces.append(plain)
    if any(isinstance(piece, Placeholder) for piece in pieces):
        return Text(tuple(pieces))
    return "".join(str(piece) for piece in pieces)


def _parse_placeholder(written: str) -> Placeholder:
    path, *default = split_unescaped(written[1:-1], "|", maxsplit=1)
    return Placeholder(parse_path(path), unescaped(default[0]) if default else None, written)


def _alone(piece: str | Placeholder, payload: Any, field: str, faults: list[Fault]) -> Any:
    """Return a whole value with its JSON type; a default written as JSON is typed as well."""
    if isinstance(piece, str):
        return piece
    found = look_up(payload, piece.path)
    if found is MISSING and piece.default is None:
        faults.append(_missing(piece, field))
        return None
    if piece.default is not None and _is_nothing(found):
        return _typed(piece.default)
    return found


def _within(piece: str | Placeholder, payload: Any, field: str, faults: list[Fault]) -> str:
    """Return a value as a piece of a text."""
    if isinstance(piece, str):
        return piece
    found = look_up(payload, piece.path)
    if piece.default is not None and _is_nothing(found):
        return piece.default
    if found is MISSING or found is None:
        faults.append(_missing(piece, field))
        return ""
    if isinstance(found, str):
        return found
    if isinstance(found, (bool, int, float)):
        return _number(found, piece, field, faults)
    faults.append(_no_text(piece, field))
    return ""


def _is_nothing(found: Any) -> bool:
    return found is MISSING or found is None or found == ""


def _number(found: float, piece: Placeholder, field: str, faults: list[Fault]) -> str:
    try:
        return json.dumps(found)
    except ValueError:  # more digits than Python prints
        faults.append(_no_text(piece, field))
        return ""


def _typed(default: str) -> Any:
    """Parse a whole default: a number, true, false, null or a quoted text, else the text itself."""
    try:
        value = json.loads(default, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return default
    return default if isinstance(value, (dict, list)) else value


def _missing(piece: Placeholder, field: str) -> Fault:
    rule = f"in the payload, which has no {dotted(piece.path)[:_MAX_SHOWN_CHARS]}"
    return Fault(field, piece.written[:_MAX_SHOWN_CHARS], rule)


def _no_text(piece: Placeholder, field: str) -> Fault:
    rule = "a text, a number, true or false, to stand within a text"
    return Fault(field, piece.written[:_MAX_SHOWN_CHARS], rule)

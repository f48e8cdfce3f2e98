"""Read the demo's prompts: their file, their keys, and how many calls they cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from darkroom.errors import UserError
from playground.errors import RequestInvalid
from playground.request.request import check_request
from tasks.batches.csv_columns import JOB_FIELDS
from tasks.batches.reader import Line, LineFile

__all__ = ["DemoPrompt", "demo_prompts", "prompts_file"]

_NAME: Final = "prompts.jsonl"
_HERE: Final = Path(__file__).resolve().parent

#: In an installed package, and in a checkout.
_PLACES: Final = (_HERE / "examples", _HERE.parents[1] / "examples")


@dataclass(frozen=True, slots=True)
class DemoPrompt:
    """One line of the file.

    Attributes:
        line: its number.
        name: its key.
        prompt: its text.
        is_refused: whether it is intended to be refused.
        is_call: whether it reaches the API.
    """

    line: int
    name: str
    prompt: str
    is_refused: bool
    is_call: bool


def prompts_file() -> Path:
    """Return the path of the prompts' file.

    Raises:
        UserError: this installation does not include it.
    """
    for folder in _PLACES:
        if (folder / _NAME).is_file():
            return folder / _NAME
    raise UserError(f"{_NAME} is not where it should be: {_PLACES[-1]}")


def demo_prompts(file: Path) -> list[DemoPrompt]:
    """Return every prompt of the file, in its order."""
    with file.open("rb") as stream:
        lines = [line for line in LineFile(stream, "jsonl") if isinstance(line, Line)]
    return [_read(line) for line in lines]


def _read(line: Line) -> DemoPrompt:
    metadata: dict[str, Any] = line.fields.get("metadata") or {}
    return DemoPrompt(
        line=line.number,
        name=str(line.fields["key"]),
        prompt=str(line.fields["prompt"]),
        is_refused=metadata.get("expect") == "refused",
        is_call=_is_valid(line.fields),
    )


def _is_valid(fields: dict[str, Any]) -> bool:
    excluded = {*JOB_FIELDS, "init_image"}
    try:
        check_request({name: value for name, value in fields.items() if name not in excluded})
    except RequestInvalid:
        return False
    return True

"""Print data to stdout, and remarks about it to stderr.

So `darkroom … --json | jq` gets only data, whatever remarks there are. All output of commands
passes through here, because this file escapes text from outside.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from darkroom.escape import escaped, escaped_json

__all__ = [
    "clear_line",
    "complain",
    "echo",
    "interruptible",
    "note",
    "overwrite",
    "print_json",
    "warnings_as_notes",
]


def echo(*lines: object) -> None:
    """Print lines of data for a person, on stdout."""
    for line in lines:
        print(escaped(str(line)), flush=True)


def complain(line: str) -> None:
    """Print a line about a fault on stderr, without the program's name before it."""
    print(escaped(line), file=sys.stderr, flush=True)


def note(line: str) -> None:
    """Print a remark for a person, on stderr."""
    complain(f"darkroom: {line}")


def overwrite(text: str) -> None:
    """Replace the current line by a text, if stderr is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{escaped(text)} \x1b[K", end="", file=sys.stderr, flush=True)


def clear_line() -> None:
    """Clear the line that `overwrite` wrote."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print one line of JSON on stdout; times in ISO form, UUIDs as text."""
    import orjson

    print(escaped_json(orjson.dumps(value, default=str).decode()), flush=True)


def warnings_as_notes() -> None:
    """Show warnings of Darkroom's loggers as remarks; loggers of libraries stay silent."""
    handler = Notes(level=logging.WARNING)
    handler.addFilter(
        lambda record: record.name.partition(".")[0] in {"darkroom", "tasks", "storage"}
    )
    logging.getLogger().handlers = [handler]


class Notes(logging.Handler):
    """Print log records as remarks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record's sentence, without its fields."""
        note(record.getMessage())


@contextmanager
def interruptible(what: str, again: str) -> Iterator[None]:
    """End a wait on Ctrl-C, and say what continues and how to look again.

    Args:
        what: what continues without this command.
        again: the command line that shows it again.

    Raises:
        typer.Exit: with status 130, on Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        note(f"stopped looking; {what} goes on. Look again: {again}")
        raise typer.Exit(130) from None

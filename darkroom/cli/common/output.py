"""What goes where: data to stdout, and to stderr what is said about it.

So `darkroom … --json | jq` gets data alone, whatever there is to remark. Everything that a command
prints goes through here, as here what came from outside is escaped.
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
    "interruptible",
    "note",
    "overwrite",
    "print_json",
    "say",
    "warnings_as_notes",
]


def say(*lines: object) -> None:
    """Print lines of data for a person, on stdout."""
    for line in lines:
        print(escaped(str(line)), flush=True)


def complain(line: str) -> None:
    """Print a line about a fault on stderr, without our name before it."""
    print(escaped(line), file=sys.stderr, flush=True)


def note(line: str) -> None:
    """Print a remark for a person, on stderr."""
    complain(f"darkroom: {line}")


def overwrite(text: str) -> None:
    """Write a text over the one before it, where stderr is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{escaped(text)} \x1b[K", end="", file=sys.stderr, flush=True)


def clear_line() -> None:
    """Take away what `overwrite` wrote."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One line of JSON on stdout; times in ISO form, UUIDs as text."""
    import orjson

    print(escaped_json(orjson.dumps(value, default=str).decode()), flush=True)


def warnings_as_notes() -> None:
    """Let what our rooms warn of appear as remarks; other people's loggers stay silent."""
    handler = Notes(level=logging.WARNING)
    handler.addFilter(
        lambda record: record.name.partition(".")[0] in {"darkroom", "tasks", "storage"}
    )
    logging.getLogger().handlers = [handler]


class Notes(logging.Handler):
    """Says records as remarks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say the record's sentence, without its fields."""
        note(record.getMessage())


@contextmanager
def interruptible(what: str, again: str) -> Iterator[None]:
    """End a wait on Ctrl-C with a word on what goes on and how to look again.

    Args:
        what: what goes on without us.
        again: the command line that looks again.

    Raises:
        typer.Exit: with status 130, on Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        note(f"stopped looking; {what} goes on. Look again: {again}")
        raise typer.Exit(130) from None

"""What goes where: data to stdout, and to stderr what is said about it.

So `darkroom … --json | jq` gets data alone, whatever there is to remark.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

__all__ = ["interruptible", "note", "print_json", "warnings_as_notes"]


def note(line: str) -> None:
    """A remark for a person, on stderr."""
    print(f"darkroom: {line}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One line of JSON on stdout; times in ISO form, UUIDs as text."""
    import orjson

    print(orjson.dumps(value, default=str).decode(), flush=True)


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

"""Options that several commands share, so that each is spelt the same everywhere.

If an option means something else to a command, that command has its own help text. An option of
only one command is in that command's signature, or in `cli/jobs/submit_options.py`.
"""

from typing import Annotated, Any

import typer

__all__ = ["AsJson", "as_json", "batch_id", "dry_run", "job_ids", "out", "since", "yes"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def as_json(meaning: str) -> Any:
    """Define `--json`, for a command that prints more than one kind of data."""
    return typer.Option("--json", help=meaning)


def batch_id(meaning: str) -> Any:
    """Define `--batch ID`."""
    return typer.Option(metavar="ID", help=meaning)


def dry_run(meaning: str) -> Any:
    """Define `--dry-run`."""
    return typer.Option("--dry-run", help=meaning)


def job_ids(meaning: str) -> Any:
    """Define the ids of the jobs that a command applies to."""
    return typer.Argument(metavar="ID...", help=meaning)


def out(meaning: str) -> Any:
    """Define `-o FILE`: the file for a picture."""
    return typer.Option("-o", "--out", metavar="FILE", help=meaning)


def since(meaning: str) -> Any:
    """Define `--since TIME`."""
    return typer.Option(metavar="TIME", help=meaning)


def yes(meaning: str) -> Any:
    """Define `--yes`."""
    return typer.Option("--yes", help=meaning)

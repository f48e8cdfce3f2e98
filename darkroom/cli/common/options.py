"""Options that several commands have, so that each is spelt the same wherever it is.

What one of them means to a command may differ, and then the command says it in its own words.
What only one command has stands in that command's signature, or in `cli/jobs/submit_options.py`.
"""

from typing import Annotated, Any

import typer

__all__ = ["AsJson", "as_json", "batch_id", "dry_run", "job_ids", "out", "since", "yes"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def as_json(meaning: str) -> Any:
    """`--json`, of a command that prints more than one thing."""
    return typer.Option("--json", help=meaning)


def batch_id(meaning: str) -> Any:
    """`--batch ID`."""
    return typer.Option(metavar="ID", help=meaning)


def dry_run(meaning: str) -> Any:
    """`--dry-run`."""
    return typer.Option("--dry-run", help=meaning)


def job_ids(meaning: str) -> Any:
    """The jobs that a command is about, by id."""
    return typer.Argument(metavar="ID...", help=meaning)


def out(meaning: str) -> Any:
    """`-o FILE`: where a picture goes."""
    return typer.Option("-o", "--out", metavar="FILE", help=meaning)


def since(meaning: str) -> Any:
    """`--since TIME`."""
    return typer.Option(metavar="TIME", help=meaning)


def yes(meaning: str) -> Any:
    """`--yes`."""
    return typer.Option("--yes", help=meaning)

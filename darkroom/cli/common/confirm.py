"""Ask the user of a command to agree, if it runs on a terminal."""

import typer

from darkroom.cli.common.output import note
from darkroom.errors import UserError

__all__ = ["confirm"]


def confirm(question: str, *, otherwise: str) -> None:
    """Ask a question on stderr, and return if the answer is yes.

    Args:
        question: the question.
        otherwise: what to print if the user does not agree, such as "nothing was retried".

    Raises:
        UserError: the answer is no.
        typer.Exit: with status 130, on Ctrl-C.
    """
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        note(otherwise)
        raise typer.Exit(130) from None
    if not agreed:
        raise UserError(otherwise)

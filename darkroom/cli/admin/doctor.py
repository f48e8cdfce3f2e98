"""`darkroom doctor`: check every part of an installation and say what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import print_json

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.checks import Finding

__all__ = ["doctor"]

COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}


def doctor(
    *,
    create_bucket: Annotated[
        bool, typer.Option("--create-bucket", help="Create the bucket first, if there is none.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Test settings, broker, database, bucket, key, clock and disk.

    Nothing it does costs money: the API's key is tested without a prompt. Exit status 1 if anything
    is bad.

    Example: darkroom doctor --create-bucket
    """
    from darkroom.checks import Level

    findings = _look(create_bucket=create_bucket)
    is_well = all(finding.level is not Level.BAD for finding in findings)
    if as_json:
        print_json({"ok": is_well, "findings": findings})
    else:
        _print(findings)
    raise typer.Exit(0 if is_well else 1)


def _look(*, create_bucket: bool) -> "list[Finding]":
    from darkroom.checks import Finding, Level, examine
    from darkroom.errors import UserError
    from darkroom.settings import load_settings
    from darkroom.wiring.factory import Wiring

    try:
        settings = load_settings()
    except UserError as error:
        return [Finding("settings", Level.BAD, str(error))]
    return list(examine(Wiring(settings), create_bucket=create_bucket))


def _print(findings: "list[Finding]") -> None:
    """Print one line for each finding, unwrapped; the level is coloured on a terminal."""
    from rich.console import Console
    from rich.text import Text

    from darkroom.escape import escaped

    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        level = (f"{finding.level:<5} ", COLOURS[finding.level])
        console.print(Text.assemble(level, escaped(f"{finding.about:<9} {finding.text}")))
        if finding.advice:
            console.print(Text(escaped(f"{'':15} do: {finding.advice}")))

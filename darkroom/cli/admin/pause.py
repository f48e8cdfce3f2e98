"""`darkroom pause`: start no further call in the whole fleet until the pause is lifted."""

from typing import Annotated, Final

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json

__all__ = ["pause"]

CODE: Final = "OPERATOR"
MAX_REASON_CHARS: Final = 500


def pause(
    *,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; shown wherever the pause is.")
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Pause the fleet: calls under way end, and no other begins.

    Jobs are still accepted and kept. It replaces a pause that would end by itself.

    Example: darkroom pause --reason "new key on Monday"
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import label_of
    from darkroom.pause_notices import as_facts, in_words
    from storage.fleet.pause import PauseKind, pause_fleet
    from storage.fleet.state import fleet_state

    database = opened().database
    message = label_of(reason)[:MAX_REASON_CHARS]
    is_new = pause_fleet(database, PauseKind.OPERATOR, code=CODE, message=message)
    now = fleet_state(database).pause
    if as_json:
        print_json({"paused": now is not None, "changed": is_new, "pause": as_facts(now)})
    elif is_new:
        echo("paused: calls under way end, and no other begins until `darkroom resume`")
    else:
        echo("nothing changed" if now is None else f"nothing changed: {in_words(now)}")
    if not is_new and message:
        note("for another reason: `darkroom resume`, then pause again")

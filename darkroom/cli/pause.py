"""`darkroom pause`: no further call begins, in the whole fleet, until somebody says so."""

from typing import Annotated, Final

import typer

from darkroom.cli import options
from darkroom.cli.say import note, print_json, say

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

    Jobs are still taken in and kept. It takes the place of a pause that would end by itself.

    Example: darkroom pause --reason "new key on Monday"
    """
    from darkroom.cli.looks import label_of
    from darkroom.cli.opened import opened
    from darkroom.paused import as_facts, in_words
    from storage import PauseKind, fleet_state, pause_fleet

    database = opened().database
    message = label_of(reason)[:MAX_REASON_CHARS]
    is_new = pause_fleet(database, PauseKind.OPERATOR, code=CODE, message=message)
    now = fleet_state(database).pause
    if as_json:
        print_json({"paused": now is not None, "changed": is_new, "pause": as_facts(now)})
    elif is_new:
        say("paused: calls under way end, and no other begins until `darkroom resume`")
    else:
        say("nothing changed" if now is None else f"nothing changed: {in_words(now)}")
    if not is_new and message:
        note("for another reason: `darkroom resume`, then pause again")

"""`darkroom resume`: a pause is lifted, whoever began it."""

from darkroom.cli import options
from darkroom.cli.say import note, print_json

__all__ = ["resume"]


def resume(
    *,
    as_json: options.AsJson = False,
) -> None:
    """Lift the fleet's pause, by hand or of its own: calls begin again at once.

    What made the fleet pause by itself will do so again if it is still there.

    Example: darkroom resume
    """
    from darkroom.cli.opened import opened
    from darkroom.paused import as_facts, in_words
    from storage import PauseKind, fleet_state, resume_fleet

    database = opened().database
    before = fleet_state(database).pause
    is_lifted = resume_fleet(database)
    if as_json:
        print_json({"paused": False, "changed": is_lifted, "pause": as_facts(before)})
    elif is_lifted:
        print("resumed" if before is None else f"resumed; it was {in_words(before)}")
    else:
        print("nothing changed: there is no pause")
    if is_lifted and before is not None and before.kind is not PauseKind.OPERATOR:
        note("if its cause is still there, the fleet will pause again; see `darkroom doctor`")

"""`darkroom resume`: lift the pause of the fleet and those of single workers."""

from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.db.database import Database

__all__ = ["resume"]


def resume(
    *,
    worker: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only this worker's own pause; the fleet's stays."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Lift the fleet's pause, manual or automatic, and the pauses of single workers.

    Calls begin again at once; a worker notices it within some seconds. If the cause of an automatic
    pause is still there, the fleet or the worker pauses again.

    Example: darkroom resume
    """
    from darkroom.cli.common.context import opened

    database = opened().database
    if worker is not None:
        _resume_worker(database, worker, as_json=as_json)
    else:
        _resume_all(database, as_json=as_json)


def _resume_all(database: "Database", *, as_json: bool) -> None:
    from darkroom.pause_notices import as_facts, in_words
    from storage.fleet.pause import PauseKind, resume_fleet
    from storage.fleet.state import fleet_state
    from storage.fleet.worker_calls import ask_to_resume

    before = fleet_state(database).pause
    # first: a worker that sees the fleet's pause lifted must also find its own lifted
    workers = ask_to_resume(database)
    is_lifted = resume_fleet(database)
    if as_json:
        facts = {"paused": False, "changed": is_lifted or workers > 0, "pause": as_facts(before)}
        print_json(facts | {"workers": workers})
    elif is_lifted:
        echo("resumed" if before is None else f"resumed; it was {in_words(before)}")
    elif not workers:
        echo("nothing changed: there is no pause")
    if workers and not as_json:
        noun = "worker was" if workers == 1 else "workers were"
        echo(f"{workers} paused {noun} asked to resume")
    is_own = workers or (before is not None and before.kind is not PauseKind.OPERATOR)
    if is_own and (is_lifted or workers):
        note("if its cause is still there, the fleet will pause again; see `darkroom doctor`")


def _resume_worker(database: "Database", named: str, *, as_json: bool) -> None:
    from darkroom.cli.common.formatting import parse_job_id
    from storage.fleet.leases import live_workers
    from storage.fleet.worker_calls import ask_to_resume

    worker_id = parse_job_id(named)
    if worker_id not in {each.id for each in live_workers(database)}:
        raise UserError(f"no live worker has the id {named[:60]}; see `darkroom doctor`")
    count = ask_to_resume(database, worker_id)
    if as_json:
        print_json({"worker": worker_id, "changed": count > 0})
    elif count:
        echo(f"worker {worker_id}: asked to resume")
        note("if its cause is still there, it will pause again; see `darkroom doctor`")
    else:
        echo("nothing changed: this worker has not paused itself")

"""`darkroom owners`: set each owner's limits, and the secret that signs the owner's webhooks.

A secret is printed once, alone on stdout, so that it can be redirected into a file or a secret
store.
"""

from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.db.database import Database
    from storage.owners.limits import Owner, OwnerChanges

__all__ = ["owners"]

NONE: Final = "none"
MIN_PER_SECOND: Final = 0.001
MAX_PER_SECOND: Final = 100_000
MAX_COUNT: Final = 2_000_000_000

owners = typer.Typer(
    name="owners",
    help="Set and list owners' limits, make callback secrets.\n\nExample: darkroom owners set shop "
    "--max-queued 10000",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@owners.command("set")
def set_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The owner.")],
    *,
    max_per_second: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Jobs or batches submitted per second; none: no limit."),
    ] = None,
    max_queued: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT", help="Queued jobs above which none is accepted; none: no limit."
        ),
    ] = None,
    max_in_flight: Annotated[
        str | None, typer.Option(metavar="COUNT", help="Calls to the API at once; none: no limit.")
    ] = None,
    max_calls_per_day: Annotated[
        str | None, typer.Option(metavar="COUNT", help="Calls in a day (UTC); none: no limit.")
    ] = None,
    reuse: Annotated[
        bool | None,
        typer.Option("--reuse/--no-reuse", help="Answer identical jobs with pictures made before."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Set limits of an owner; those that are not named stay as they are.

    Limits on submitting hold at the gateway, limits on calls hold wherever a job came from. With
    --reuse, a job that sets its seed gets the picture of an identical job of the same owner, if
    there is one. A job can decline this.

    Example: darkroom owners set shop --max-per-second 0.5 --max-queued none
    """
    from darkroom.cli.admin.keys import check_owner
    from darkroom.cli.common.context import opened
    from storage.intake.reuse import set_owner_reuse
    from storage.owners.limits import set_owner_limits

    counts = {
        "max_queued": max_queued,
        "max_in_flight": max_in_flight,
        "max_calls_per_day": max_calls_per_day,
    }
    changes = _changes(max_per_second, counts)
    if not changes and reuse is None:
        raise UserError("set what? Give a limit, such as --max-queued 10000", exit_status=2)
    check_owner(name)
    database = opened().database
    owner = set_owner_limits(database, name, **changes)
    if reuse is not None:
        set_owner_reuse(database, name, reuse=reuse)
    _print(database, [owner], as_json=as_json)


@owners.command("list")
def list_(
    *,
    as_json: Annotated[bool, options.as_json("Print a JSON line an owner.")] = False,
) -> None:
    """List the owners that have had a limit.

    Example: darkroom owners list
    """
    from darkroom.cli.common.context import opened
    from storage.owners.limits import list_owners

    database = opened().database
    found = list_owners(database)
    _print(database, found, as_json=as_json)
    if not found:
        note("no owner has a limit")


@owners.command()
def secret(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The owner.")],
    *,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a second one; until --retire both sign.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Drop the older one; the receivers have the newer.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Create the secret that signs an owner's webhooks, and print it once: it is not shown again.

    Example: darkroom owners secret shop > shop.whsec
    """
    from darkroom.cli.admin.keys import check_owner
    from darkroom.cli.common.context import opened
    from storage.webhooks.secrets import MAX_SECRETS, add_secret, drop_old_secrets
    from tasks.webhooks.sending.signature import new_secret

    if rotate and retire:
        raise UserError("--rotate first, and --retire once the receivers have it", exit_status=2)
    check_owner(name)
    database = opened().database
    if retire:
        dropped = drop_old_secrets(database, name)
        note(f"{dropped} older secret{'' if dropped == 1 else 's'} of {name} dropped")
        return
    made = new_secret()
    if not add_secret(database, name, made, most=MAX_SECRETS if rotate else 1):
        first = "two already: --retire the older one" if rotate else "one already: --rotate it"
        raise UserError(f"{name} has {first}")
    if as_json:
        print_json({"owner": name, "secret": made})
    else:
        echo(made)
    note(f"signs the webhooks of {name} from now on; it is not shown again")


def _print(database: "Database", found: "list[Owner]", *, as_json: bool) -> None:
    from storage.intake.reuse import owners_reusing

    reusing = owners_reusing(database)
    for owner in found:
        reuses = reusing.get(owner.name, False)
        if as_json:
            print_json(_as_json(owner) | {"reuse": reuses})
        else:
            echo(f"{owner.name}: {_in_words(owner)}{'; reuses pictures' if reuses else ''}")


def _changes(max_per_second: str | None, counts: dict[str, str | None]) -> "OwnerChanges":
    changes: OwnerChanges = {}
    if max_per_second is not None:
        changes["max_per_second"] = _rate(max_per_second)
    counted = {name: _count(name, text) for name, text in counts.items() if text is not None}
    changes.update(cast("OwnerChanges", counted))
    return changes


def _rate(text: str) -> float | None:
    if text == NONE:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not MIN_PER_SECOND <= rate <= MAX_PER_SECOND:
        bounds = f"a number from {MIN_PER_SECOND} to {MAX_PER_SECOND}, or {NONE}"
        raise UserError(f"--max-per-second: {bounds}", exit_status=2)
    return rate


def _count(name: str, text: str) -> int | None:
    if text == NONE:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_COUNT):
        bounds = f"a whole number from 0 to {MAX_COUNT}, or {NONE}"
        option = "--" + name.replace("_", "-")
        raise UserError(f"{option}: {bounds}", exit_status=2)
    return int(text)


def _as_json(owner: "Owner") -> dict[str, Any]:
    return {name: getattr(owner, name) for name in owner.__slots__}


def _in_words(owner: "Owner") -> str:
    rate = "any number of" if owner.max_per_second is None else f"{owner.max_per_second:g}"
    waiting, at_once = _limit(owner.max_queued), _limit(owner.max_in_flight)
    calls = f"{at_once} in flight, {_limit(owner.max_calls_per_day)} a day"
    return f"submits {rate} times a second; {waiting} waiting; calls: {calls}"


def _limit(limit: int | None) -> str:
    return "any number" if limit is None else f"{limit:,}"

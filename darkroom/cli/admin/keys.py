"""`darkroom keys`: create, list and revoke the keys of the gateway.

A secret is printed once, alone on stdout, so that it can be redirected into a file or a secret
store. All remarks about it go to stderr, and the secret itself is not stored.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.owners.api_keys import ApiKey

__all__ = ["keys"]

MAX_NAME_CHARS: Final = 100


class Scope(StrEnum):
    """The gateway's scopes, repeated because the gateway package loads too slowly for `--help`."""

    submit = "submit"
    read = "read"
    admin = "admin"


keys = typer.Typer(
    name="keys",
    help="Make, list and revoke the gateway's API keys.\n\nExample: darkroom keys create "
    "--owner shop",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@keys.command()
def create(
    *,
    owner: Annotated[
        str, typer.Option(metavar="NAME", help="Owner of the jobs that it submits and reads.")
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do; again for more. By default submit and read."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A note on where it is used.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a key and print its secret once: it is not stored anywhere.

    Example: darkroom keys create --owner shop --name "till 3" > shop.key
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import label_of
    from storage.owners.api_keys import any_keys, create_key

    check_owner(owner)
    label = None if name is None else label_of(name)[:MAX_NAME_CHARS] or None
    database = opened().database
    is_first = not any_keys(database)
    made = create_key(database, owner=owner, scopes=scopes_of(scope), name=label)
    if as_json:
        print_json(key_as_json(made.key) | {"secret": made.secret})
    else:
        echo(made.secret)
    note(f"key {made.key.id} of {owner} may {_scopes(made.key)}; its secret is not shown again")
    if is_first:
        note("the first key: from now on the gateway requires one of every caller")


@keys.command("list")
def list_(
    *,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Only this owner's.")] = None,
    as_json: Annotated[bool, options.as_json("Print a JSON line a key.")] = False,
) -> None:
    """List keys, newest first, with the day each was last used; secrets are not stored.

    Example: darkroom keys list --owner shop
    """
    from darkroom.cli.common.context import opened
    from storage.owners.api_keys import list_keys

    found = list_keys(opened().database, owner=owner)
    if as_json:
        for key in found:
            print_json(key_as_json(key))
    elif found:
        _print_table(found)
    else:
        note("no keys" if owner is None else "this owner has no keys")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key, by its id.")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Revoke a key permanently: gateways refuse it within seconds.

    Example: darkroom keys revoke 0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import local_time
    from storage.owners.api_keys import revoke_key

    parsed_id = _parse_id(key_id)
    revoked = revoke_key(opened().database, parsed_id)
    if revoked is None:
        raise UserError(f"there is no key {parsed_id}: `darkroom keys list` shows them")
    if as_json:
        print_json(key_as_json(revoked))
    else:
        echo(f"{revoked.id} of {revoked.owner}: revoked since {local_time(revoked.revoked_at)}")


def scopes_of(chosen: list[Scope] | None) -> set[str]:
    """Return what a key may do; by default what most callers need."""
    return {scope.value for scope in chosen or (Scope.submit, Scope.read)}


def check_owner(name: str) -> None:
    """Refuse an owner name that no job can have.

    Raises:
        RequestInvalid: with the rule.
    """
    from playground.errors import RequestInvalid
    from tasks.submission.options import parse_options

    _, faults = parse_options({"owner": name})
    if faults:
        raise RequestInvalid(faults)


def key_as_json(key: "ApiKey") -> dict[str, Any]:
    """Return every field of a key."""
    facts = {name: getattr(key, name) for name in key.__slots__ if name != "used_today"}
    return facts | {"scopes": sorted(key.scopes)}


def _parse_id(text: str) -> UUID:
    """Parse a key's id; the error does not repeat the text, which may be a secret."""
    try:
        return UUID(text)
    except ValueError:
        raise UserError(
            "a key is revoked by its id, not by its secret: `darkroom keys list` shows the ids",
            exit_status=2,
        ) from None


def _scopes(key: "ApiKey") -> str:
    return ", ".join(sorted(key.scopes))


def _print_table(found: "list[ApiKey]") -> None:
    from darkroom.escape import escaped

    rows = [("id", "owner", "may", "last used", "about")]
    for key in found:
        about = escaped(key.name or "-")
        if key.revoked_at is not None:
            about = f"revoked {about}"
        rows.append((str(key.id), key.owner, _scopes(key), key.last_used_day or "never", about))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        start = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        echo(f"{start}  {row[4]}")

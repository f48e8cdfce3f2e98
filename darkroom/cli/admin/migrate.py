"""`darkroom migrate`: create or update the tables of this release."""

from typing import Annotated

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, print_json

__all__ = ["migrate"]


def migrate(
    *,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only report; exit status 1 if a migration is due."),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Create the results table, or migrate it to this release.

    Workers of the release before keep running meanwhile.

    Example: darkroom migrate --check || darkroom migrate
    """
    from darkroom.settings import load_settings
    from darkroom.wiring.factory import Wiring
    from storage.migrations.concurrent_indexes import missing_indexes
    from storage.migrations.migrate import migrate as bring_up
    from storage.migrations.migrate import schema_status

    database = Wiring(load_settings()).database
    found, needed = schema_status(database)
    missing = missing_indexes(database, found)
    now = found if check else bring_up(database)
    if as_json:
        address = database.safe_url
        print_json({"database": address, "found": found, "wanted": needed, "revision": now})
    else:
        echo(f"{database.safe_url}: {_sentence(found, needed, now, missing)}")
    is_old = now is None or int(now) < int(needed)
    raise typer.Exit(1 if is_old or (check and missing) else 0)


def _sentence(found: str | None, needed: str, now: str | None, missing: list[str]) -> str:
    start = f"revision {found}" if found else "no tables"
    if found != now:
        return f"from {start} to revision {now}"
    if now is None or int(now) < int(needed):
        return f"{start}; this release needs {needed}: run `darkroom migrate`"
    if int(now) > int(needed):
        return f"{start}, newer than this release's {needed}: nothing to do"
    if missing:
        return f"{start}; missing or made now: index {', '.join(missing)}"
    return f"{start}: nothing to do"

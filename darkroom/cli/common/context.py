"""What a command about jobs begins with: settings read, remarks let through, tables at hand."""

from typing import TYPE_CHECKING

from darkroom.cli.common.output import warnings_as_notes

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from darkroom.wiring.factory import Wiring

__all__ = ["check_tables", "opened", "wired"]


def wired() -> "Wiring":
    """The wiring of this installation; nothing is connected yet.

    Raises:
        UserError: a setting is wrong.
    """
    from darkroom.settings import load_settings
    from darkroom.wiring.factory import Wiring

    warnings_as_notes()
    return Wiring(load_settings())


def check_tables(wiring: "Wiring") -> None:
    """Make sure of tables of this release.

    Raises:
        UserError: no database is set.
        DatabaseError: nobody answers, or the tables are of another release.
    """
    from storage.migrations.migrate import check_schema

    check_schema(wiring.database)


def opened() -> "Wiring":
    """The wiring, with tables of this release behind it; raises as the two above."""
    wiring = wired()
    check_tables(wiring)
    return wiring

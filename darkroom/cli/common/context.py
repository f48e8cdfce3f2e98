"""Prepare a command about jobs: read the settings, show warnings, check the tables."""

from typing import TYPE_CHECKING

from darkroom.cli.common.output import warnings_as_notes

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring

__all__ = ["check_tables", "opened", "wired"]


def wired() -> "Wiring":
    """Return the wiring of this installation; nothing is connected yet.

    Raises:
        UserError: a setting is invalid.
    """
    from darkroom.settings import load_settings
    from darkroom.wiring.factory import Wiring

    warnings_as_notes()
    return Wiring(load_settings())


def check_tables(wiring: "Wiring") -> None:
    """Check that the tables match this release.

    Raises:
        UserError: no database is set.
        DatabaseError: the database does not answer, or its tables are of another release.
    """
    from storage.migrations.migrate import check_schema

    check_schema(wiring.database)


def opened() -> "Wiring":
    """Return the wiring after checking its tables; raises as the two above."""
    wiring = wired()
    check_tables(wiring)
    return wiring

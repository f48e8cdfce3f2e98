"""Which schema this release was written for, in a file that imports nothing.

The number is compared, so it is a number: `0001`, `0002`, … in order. A release accepts the
schema it was written for and the next one (migrations expand before they contract), so that a
fleet can be upgraded one worker at a time.
"""

from __future__ import annotations

WANTED = "0005"
"""The revision this release was written for."""

RELEASE = 2
"""This release's number: raised by each one whose requests may have a new parameter or value."""

OLDEST_RELEASE = 1
"""The oldest release that may still run beside this one: the one before, which does not say so."""

SCHEMA = "darkroom"
"""PostgreSQL: the schema that holds everything of ours."""

PREFIX = "darkroom_"
"""SQLite: what every name of ours starts with, as it has no schemas."""

VERSION_TABLE = "schema_version"
"""Where Alembic notes the revision (with the prefix on SQLite)."""

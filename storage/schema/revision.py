"""Define the schema revision that this release was written for; the file imports nothing.

Revisions are compared as numbers: `0001`, `0002`, … in order. A release accepts the schema it was
written for and the next one, because migrations expand before they contract. So a fleet can be
upgraded one worker at a time.
"""

from __future__ import annotations

CURRENT = "0005"
"""The revision this release was written for."""

RELEASE = 2
"""This release's number; a release whose requests may have a new parameter or value raises it."""

OLDEST_RELEASE = 1
"""The oldest release that may run beside this one: the previous one, which does not report it."""

SCHEMA = "darkroom"
"""PostgreSQL: the schema that contains all of Darkroom's tables."""

PREFIX = "darkroom_"
"""SQLite: the prefix of all of Darkroom's names, as it has no schemas."""

VERSION_TABLE = "schema_version"
"""The table in which Alembic records the revision (with the prefix on SQLite)."""

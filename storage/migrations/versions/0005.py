"""Add columns for a worker's calls and for the release that a job's request needs.

It only expands: the columns may be NULL, so nothing is rewritten, and the previous release's
workers neither write nor read them. The locks for adding columns are requested briefly. On
PostgreSQL, the index of jobs that need a newer release is built afterwards, without a lock on the
jobs (see `storage/migrations/concurrent_indexes.py`); SQLite builds it here.
"""

from typing import Any

from alembic import op
from sqlalchemy import Column, DateTime, Integer, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from storage.migrations.brief_locks import lock_briefly

revision = "0005"
down_revision: str | None = "0004"

MOMENTS = ("succeeded_at", "success_began_at", "paused_at", "resume_asked_at")
TEXTS = ("pause_code", "pause_message")


def upgrade() -> None:
    """Add the columns; they stay empty."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    prefix, schema = ("", "darkroom") if is_postgresql else ("darkroom_", None)
    moment: Any = TIMESTAMP(timezone=True) if is_postgresql else DateTime()
    if is_postgresql:
        lock_briefly(op.get_bind(), ["darkroom.jobs", "darkroom.workers"])
    columns = [
        *(Column(name, moment) for name in MOMENTS),
        *(Column(name, Text()) for name in TEXTS),
        Column("serves_release", Integer()),
    ]
    for column in columns:
        op.add_column(f"{prefix}workers", column, schema=schema)
    op.add_column(f"{prefix}jobs", Column("needs_release", Integer()), schema=schema)
    if not is_postgresql:
        op.create_index(
            "darkroom_jobs_needs_release",
            "darkroom_jobs",
            ["needs_release"],
            sqlite_where=text("needs_release IS NOT NULL AND ended_at IS NULL"),
        )

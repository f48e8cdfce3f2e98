"""Settings of the results table's database."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import Seconds

__all__ = ["DatabaseSettings"]


class DatabaseSettings(BaseSettings):
    """Settings of the results table's database."""

    # The results table
    database_url: SecretStr | None = Field(
        None,
        description="SQLAlchemy URL, required: `postgresql+psycopg://…` in production, "
        "`sqlite:////path/darkroom.db` on one machine.",
    )
    database_connections: int = Field(
        8,
        ge=2,
        le=64,
        description="Connections to the database per process, the heartbeat's among them.",
    )
    database_deadline_s: Seconds | None = Field(
        None,
        description="Longest wait for one answer of the database; then the connection is closed. "
        "Shorter than the lease without one heartbeat; by default 10, or nine tenths "
        "of that time if shorter. On SQLite the longest wait for another process's "
        "write.",
    )
    database_statement_timeout_s: Seconds | None = Field(
        None,
        description="The server ends a statement after this (PostgreSQL). Shorter than the "
        "deadline; by default four fifths of it.",
    )
    database_lock_timeout_s: Seconds | None = Field(
        None,
        description="The server ends a wait for a lock after this (PostgreSQL). Shorter than the "
        "statement's limit; by default a quarter of it.",
    )

"""Read which limits on statements the server applies to Darkroom's connections.

A pooler may refuse start-up options, or accept and drop them. Then the limits are those of the
database role, which an operator has to set.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from storage.db.database import Database

__all__ = ["limits_not_in_force"]

_IN_FORCE: Final = text(
    "SELECT name, CAST(setting AS bigint) FROM pg_settings WHERE name IN"
    " ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout')"
)


def limits_not_in_force(db: Database) -> list[str]:
    """Return the PostgreSQL settings that are off, or longer than the client's deadline.

    Raises:
        DatabaseUnavailable: Call again.
    """
    if db.is_sqlite:
        return []
    with db.read() as connection:
        in_force = {str(name): int(ms) for name, ms in connection.execute(_IN_FORCE)}
    longest_ms = {
        "lock_timeout": db.limits.deadline_s * 1000,
        "statement_timeout": db.limits.deadline_s * 1000,
        "idle_in_transaction_session_timeout": db.limits.asleep_s * 1000,
    }
    return [
        name for name, limit_ms in longest_ms.items() if not 0 < in_force.get(name, 0) <= limit_ms
    ]

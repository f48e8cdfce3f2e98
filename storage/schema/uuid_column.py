"""Define the column type of UUIDs for each dialect."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Dialect, String
from sqlalchemy import Uuid as AnyUuid
from sqlalchemy.types import TypeDecorator, TypeEngine

from storage.schema.dialects import is_sqlite


class Uuid(TypeDecorator[UUID]):
    """Store a UUID: native on PostgreSQL, the usual 36 characters on SQLite.

    So a manual query finds a job by the id that was shown.
    """

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of this dialect."""
        return dialect.type_descriptor(String(36) if is_sqlite(dialect) else AnyUuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> UUID | str | None:
        """Convert a UUID for the driver; accepting text would hide a caller's mistake."""
        return str(value) if value is not None and is_sqlite(dialect) else value

    def process_result_value(self, value: UUID | str | None, dialect: Dialect) -> UUID | None:
        """Return the stored value as a UUID."""
        del dialect
        return UUID(value) if isinstance(value, str) else value

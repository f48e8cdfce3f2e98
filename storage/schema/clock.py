"""Read the database's clock, the only one that rows are compared with.

Workers' clocks drift and are set by hand, so a lease measured by two clocks is invalid. Every time
in a row is written and compared by the database itself; Python only reads it.

There are two forms of "now", because PostgreSQL marks `clock_timestamp()` as volatile and uses no
index for a comparison with a volatile value. `now()` is for writing. `instant()` is for comparing:
it is evaluated once per statement, through a scalar subquery. Everything is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Dialect,
    bindparam,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import Double, TypeDecorator, TypeEngine

from storage.schema.dialects import is_sqlite

SQLITE_NOW_SQL = "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"
"""SQLite's current time as a stored time has it, with microseconds: both are compared as texts."""


class UtcDateTime(TypeDecorator[datetime]):
    """Store a time that is aware and in UTC in Python, on either database.

    PostgreSQL keeps `timestamptz`; SQLite keeps text with microseconds, which sorts
    chronologically.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of this dialect."""
        return dialect.type_descriptor(DateTime(timezone=not is_sqlite(dialect)))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware time to UTC; a naive time raises a `ValueError`."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value!r}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if is_sqlite(dialect) else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored time, aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if is_sqlite(dialect) else value.astimezone(UTC)


class now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """Compile to the current time, for writing into a row."""

    type = UtcDateTime()
    inherit_cache = True
    name = "darkroom_now"


class instant(now):  # noqa: N801 - reads as the SQL function it is
    """Compile to the current time, once per statement, for comparing (see the module)."""

    inherit_cache = True
    name = "darkroom_instant"


class _After(FunctionElement[datetime]):
    type = UtcDateTime()
    inherit_cache = True
    name = "darkroom_after"


def after(seconds: float | ColumnElement[Any] | None) -> ColumnElement[Any]:
    """Return the time this many seconds from now (negative: ago); NULL for None.

    Args:
        seconds: A number, or an expression such as a `bindparam` for statements built once.
    """
    if isinstance(seconds, ColumnElement):
        return _After(seconds)
    return _After(literal(seconds, Double()))


def seconds_param(name: str) -> ColumnElement[Any]:
    """Return a parameter in seconds, for statements that are built once and run often."""
    return bindparam(name, type_=Double())


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "clock_timestamp()"


@compiles(instant, "postgresql")
def _instant_postgresql(_element: instant, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "(SELECT clock_timestamp())"


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: SQLCompiler, **_kw: Any) -> str:
    return SQLITE_NOW_SQL


@compiles(_After, "postgresql")
def _after_postgresql(element: _After, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"((SELECT clock_timestamp()) + {seconds} * interval '1 second')"


@compiles(_After, "sqlite")
def _after_sqlite(element: _After, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    shifted = f"printf('%+.3f seconds', {seconds})"
    return (
        f"(CASE WHEN {seconds} IS NULL THEN NULL ELSE "
        f"strftime('%Y-%m-%d %H:%M:%f', 'now', {shifted}) || '000' END)"
    )

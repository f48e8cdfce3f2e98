"""Translate foreign database exceptions into Darkroom's, in this one place.

SQLAlchemy, psycopg and sqlite3 each have their own errors for "unreachable", "locked" and "no such
table". A caller only has to decide whether waiting helps, and these errors state that. Every
unrecognised error counts as unavailable: a useless retry costs a moment, but a job given up because
of a brief outage costs an image.

The errors of a driver are read in `postgresql/errors.py` and `sqlite/errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exc

from storage.errors import (
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    RecordRefused,
)

__all__ = ["ErrorTranslator", "NotJson", "first_line"]


class NotJson(Exception):
    """Report a value that JSON or PostgreSQL's jsonb cannot hold."""


@dataclass(frozen=True, slots=True)
class ErrorTranslator:
    """Translate the exceptions of SQLAlchemy and of one driver.

    Attributes:
        driver_error: The root of the driver's exceptions.
        from_driver: Returns the error that corresponds to one of them; takes it and the safe URL.
    """

    driver_error: type[Exception]
    from_driver: Callable[[Any, str], DatabaseError]

    @contextmanager
    def translated(self, safe_url: str) -> Iterator[None]:
        """Run a block and translate its foreign database errors.

        Args:
            safe_url: The URL without its password, for messages.

        Raises:
            DatabaseUnavailable: Waiting may help.
            RowLocked: Another transaction holds a lock; only statements that need it have to wait.
            DatabaseMisconfigured: A setting, a password or a permission is wrong.
            SchemaOutOfDate: The tables are missing or old.
            RecordRefused: The database refused a value.
        """
        try:
            yield
        except (exc.SQLAlchemyError, self.driver_error, UnicodeError, NotJson) as foreign:
            raise self.translate(foreign, safe_url) from foreign

    def translate(self, foreign: BaseException, safe_url: str) -> DatabaseError:
        """Return the `DatabaseError` that corresponds to a foreign exception.

        Args:
            foreign: From SQLAlchemy, the driver, or a text that no encoding can hold.
            safe_url: The URL without its password.
        """
        if isinstance(foreign, exc.TimeoutError):
            return DatabaseUnavailable(f"no connection to {safe_url} came free in time")
        origin = _origin(foreign)
        if isinstance(origin, self.driver_error):
            return self.from_driver(origin, safe_url)
        if isinstance(origin, (exc.ArgumentError, exc.NoSuchModuleError)):
            return DatabaseMisconfigured(f"{safe_url} is no database address: {origin}")
        if isinstance(origin, (exc.StatementError, NotJson, UnicodeError, ValueError, TypeError)):
            return RecordRefused(f"a value that no row can hold: {first_line(origin)}")
        return DatabaseUnavailable(f"{safe_url}: {first_line(origin)}")


def _origin(foreign: BaseException) -> BaseException:
    inner = getattr(foreign, "orig", None)
    return inner if isinstance(inner, BaseException) else foreign


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, shortened; its class if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__

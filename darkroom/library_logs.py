"""Keep the values that libraries work on out of their log records.

Celery logs the arguments of each task at DEBUG, and whole messages when it rejects one. botocore
logs bodies and signatures, SQLAlchemy parameters and rows. Prompts are among them all. So the
record itself is created without values, and no handler or level can reveal them. A number stays, an
error is named by its type, and any other value shows its type alone.
"""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from amqp.exceptions import ConnectionError as AmqpConnectionError
from celery.app.trace import LOG_REJECTED
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["hide_values_of_libraries"]

#: Loggers with these names, and their children, handle prompts, keys, images or signed links.
LIBRARIES: Final = (
    "PIL",
    "amqp",
    "billiard",
    "boto3",
    "botocore",
    "celery",
    "concurrent",
    "kombu",
    "psycopg",
    "redis",
    "s3transfer",
    "sqlalchemy",
    "urllib3",
)

#: Of these, the loggers whose text values are safe names: steps, queues, brokers without passwords.
_NAMING: Final = frozenset(
    {
        "celery.apps.worker",
        "celery.bootsteps",
        "celery.worker.consumer.connection",
        "celery.worker.consumer.consumer",
        "celery.worker.worker",
    }
)

#: Values with these names are kept, too, if a record's values have names.
_NAMES: Final = frozenset({"description", "hostname", "id", "name", "runtime"})

#: Connection errors: they name the address that did not answer, and nothing that was sent.
_SPEAKING: Final = (OSError, AmqpConnectionError, RedisConnectionError, RedisTimeoutError)

_MAX_CHARS: Final = 300

#: Celery's own warning about an error outside a task, with the error's whole traceback.
_OUTSIDE: Final = "Exception raised outside body"

_Exc = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class HiddenText(Exception):
    """Replaces an error in a traceback: names the error's type and omits its message."""


def hide_values_of_libraries() -> None:
    """Create all records of libraries without the values in them, from now on."""
    usual = logging.getLogRecordFactory()
    if getattr(usual, "hides_values", False):
        return

    def make(name: str, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = usual(name, *args, **kwargs)
        if name.partition(".")[0] in LIBRARIES:
            _hide(record)
        elif name == "py.warnings" and _OUTSIDE in record.getMessage():
            record.msg, record.args = "an error outside a task (its text is not shown)", ()
        return record

    make.hides_values = True  # type: ignore[attr-defined]  # a mark to find it again
    logging.setLogRecordFactory(make)
    # Darkroom already logs a line for a rejected or returned message.
    logging.getLogger("celery.app.trace").addFilter(_is_no_reject)


def _hide(record: logging.LogRecord) -> None:
    names_things = record.name in _NAMING
    if not isinstance(record.msg, str):
        record.msg = _shown(record.msg, names_things=False)
    values = record.args
    if isinstance(values, Mapping):
        record.args = {
            key: _shown(value, names_things=names_things or key in _NAMES)
            for key, value in values.items()
        }
    elif values:
        record.args = tuple(_shown(value, names_things=names_things) for value in values)
    if record.exc_info:
        record.exc_info = _without_text(record.exc_info)


def _shown(value: object, *, names_things: bool) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, _SPEAKING):
        return _Plain(f"{type(value).__name__}: {str(value)[:_MAX_CHARS]}")
    if isinstance(value, BaseException):
        return _Plain(type(value).__name__)
    if names_things and isinstance(value, str):
        return value[:_MAX_CHARS]
    return _Plain(f"<{type(value).__name__}>")


class _Plain(str):
    """A text that shows itself without quotes if a record's template uses `%r`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _without_text(exc_info: _Exc) -> _Exc:
    error = exc_info[1]
    if error is None:
        return exc_info
    hidden = HiddenText(str(_shown(error, names_things=False)))
    return (HiddenText, hidden, exc_info[2])


def _is_no_reject(record: logging.LogRecord) -> bool:
    return record.msg != LOG_REJECTED.strip()

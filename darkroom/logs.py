"""Format log records: a sentence for a person, then named fields for a machine."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from darkroom.escape import escaped, escaped_json
from darkroom.library_logs import hide_values_of_libraries

__all__ = ["configure_logs"]

#: Attributes that every record has; all others were passed as `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "data"}

#: Loggers whose INFO records only matter to the developers of those libraries.
_QUIET = (
    "alembic",
    "amqp",
    "boto3",
    "botocore",
    "celery.app.trace",
    "celery.worker.strategy",
    "kombu",
    "urllib3",
)

#: Loggers whose warnings report normal operation. If many threads look for rescued jobs' pictures
#: at once, connections beyond the bucket's pool are closed instead of kept.
_SILENT = ("urllib3.connectionpool",)

#: Celery logs advice about this setting whenever the broker is lost; Darkroom sets it on purpose.
_CELERYS_PAGE = "worker_cancel_long_running_tasks_on_connection_loss"


def configure_logs(level: str, style: str) -> None:
    """Send records of at least `level` to stderr, as `text` or `json` lines."""
    hide_values_of_libraries()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("py.warnings").addFilter(_is_no_page)


class TextLines(logging.Formatter):
    """Format a record as `12:00:01 INFO a sentence  job_id=… code=…`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, followed by a traceback if there is one.

        Text from outside cannot begin a line: all lines of the traceback are indented.
        """
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _extras(record).items())
        line = f"{when} {record.levelname:<7} {record.getMessage()}{' ' if fields else ''}{fields}"
        lines = [escaped(line)]
        if record.exc_info:
            traceback = self.formatException(record.exc_info).splitlines()
            lines += [f"    {escaped(each)}" for each in traceback]
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """Format a record as one JSON object a line: time, level, logger, message, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON text."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        try:
            text = orjson.dumps(entry, default=str).decode()
        except TypeError:  # half a surrogate pair, or a number beyond 64 bits
            text = json.dumps(entry, default=str)
        return escaped_json(text)


def _is_no_page(record: logging.LogRecord) -> bool:
    return _CELERYS_PAGE not in record.getMessage()


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}

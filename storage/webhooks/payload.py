"""Build a webhook's body as SQL: the JSON text of an ended job or a closed batch.

The statement that ends the job builds it from the row as that statement leaves it, so no other
change can come between. It is kept as text, so that every attempt sends the same bytes. Each
database has its own functions for the same JSON; a test compares the two. An invalid JSON value
(SQLite keeps any text) is sent as null. Such a row is about to be quarantined, and its owner must
be notified.

There is no prompt in it, and no link: a link would have expired by the last attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, case, cast, func, literal_column, null

from storage.schema.tables import Tables

_ENDED: Final = "'ended'"


def job_payload(tables: Tables) -> ColumnElement[str]:
    """Return the text for a job, from the columns of its row."""
    words, jobs = _words(tables), tables.jobs
    error = {
        "code": jobs.c.error_code,
        "message": jobs.c.error_message,
        "whose": jobs.c.error_whose,
    }
    # A line's own key: in the row it follows the batch's id and a slash.
    line_key = func.substr(jobs.c.idempotency_key, literal_column("38"))
    data = {
        "id": jobs.c.id,
        "status": jobs.c.status,
        "owner": jobs.c.owner,
        "batch_id": jobs.c.batch_id,
        "key": case((jobs.c.batch_id.is_(None), jobs.c.idempotency_key), else_=line_key),
        "metadata": words.json("metadata", "NULL"),
        "seed": words.seed(),
        "images": words.json("images", "'[]'"),
        "error": case((jobs.c.error_code.is_not(None), words.object(error)), else_=null()),
        "calls": words.object({"made": jobs.c.calls_made, "unknown": jobs.c.calls_unknown}),
        "simulated": words.boolean("simulated"),
        "accepted_at": words.moment(jobs.c.accepted_at),
        "ended_at": words.moment(jobs.c.ended_at),
    }
    return words.message(event_of(jobs.c.status), jobs.c.ended_at, data)


def event_of(status: ColumnElement[str]) -> ColumnElement[str]:
    """Return `job.succeeded`, `job.failed` or `job.cancelled`."""
    prefix: ColumnElement[str] = literal_column("'job.'", Text)
    return prefix + status


def batch_payload(tables: Tables) -> ColumnElement[str]:
    """Return the text for a batch, from the columns of its row."""
    words, batches = _words(tables), tables.batches
    plain = ("id", "owner", "name", "key", "total", "succeeded", "failed", "cancelled")
    times = ("created_at", "opened_at", "closed_at")
    data = {
        **{name: batches.c[name] for name in plain},
        "status": literal_column(_ENDED),
        **{name: words.moment(batches.c[name]) for name in times},
    }
    return words.message(BATCH_COMPLETED, batches.c.closed_at, data)


BATCH_COMPLETED: Final[ColumnElement[str]] = literal_column("'batch.completed'", Text)
"""The event of a batch whose last job has ended."""


@dataclass(frozen=True, slots=True)
class _Words:
    """The JSON functions of one database."""

    is_sqlite: bool

    def object(self, members: Mapping[str, Any]) -> ColumnElement[Any]:
        """Return a JSON object; names are constants of this module and need no escaping."""
        arguments = [part for name, value in members.items() for part in (_quoted(name), value)]
        make = func.json_object if self.is_sqlite else func.json_build_object
        return make(*arguments)

    def message(
        self, event: ColumnElement[str], at: ColumnElement[Any], data: Mapping[str, Any]
    ) -> ColumnElement[str]:
        """Return the whole message, in the form that Standard Webhooks recommends."""
        whole = {"type": event, "timestamp": self.moment(at), "data": self.object(data)}
        return cast(self.object(whole), Text)

    def json(self, column: str, otherwise: str) -> ColumnElement[Any]:
        """Return a column that holds JSON."""
        if self.is_sqlite:
            # `json` marks the text as JSON, else it would become a string.
            return literal_column(
                f"json(CASE WHEN json_valid({column}) THEN {column} ELSE {otherwise} END)"
            )
        return literal_column(f"coalesce({column}, {otherwise}::jsonb)")

    def seed(self) -> ColumnElement[Any]:
        """Return the seed from the request."""
        if self.is_sqlite:
            valid = "CASE WHEN json_valid(request) THEN request END"
            return literal_column(f"json_extract({valid}, '$.seed')")
        return literal_column("request -> 'seed'")

    def boolean(self, column: str) -> ColumnElement[Any]:
        """Return a boolean; SQLite stores them as numbers."""
        if self.is_sqlite:
            return literal_column(f"json(CASE WHEN {column} THEN 'true' ELSE 'false' END)")
        return literal_column(column)

    def moment(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a time by RFC 3339, in UTC, with microseconds."""
        if self.is_sqlite:
            return func.replace(column, _quoted(" "), _quoted("T"), type_=Text) + _quoted("Z")
        form = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
        return func.to_char(func.timezone(_quoted("UTC"), column), literal_column(form))


def _words(tables: Tables) -> _Words:
    return _Words(tables.is_sqlite)


def _quoted(word: str) -> ColumnElement[str]:
    """Return a constant in the statement's text: a parameter would have no type on PostgreSQL."""
    return literal_column(f"'{word}'", Text)

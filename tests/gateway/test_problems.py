"""Errors of storage as problem documents."""

import json

from gateway.http.problems import problem_of
from storage.errors import DatabaseUnavailable, RowLocked


def test_a_locked_row_is_no_outage() -> None:
    """The caller may retry as after an outage; the response names the cause, not the database."""
    locked = problem_of(RowLocked("db://host: canceling statement due to lock timeout"))
    away = problem_of(DatabaseUnavailable("db://host: connection refused"))
    documents = [json.loads(bytes(answer.body)) for answer in (locked, away)]
    assert [answer.status_code for answer in (locked, away)] == [503, 503]
    assert [document["type"].rpartition(":")[2] for document in documents] == [
        "row-locked",
        "storage-unavailable",
    ]
    assert locked.headers["Retry-After"] == away.headers["Retry-After"]
    assert not any("db://host" in json.dumps(document) for document in documents)

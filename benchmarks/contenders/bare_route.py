"""FastAPI routes as its documentation shows them: a model, and one statement with psycopg.

They are what accepting and reading a job would cost without keys, limits, repeats, tombstones,
dispatch, queue position and links. The model is the gateway's own. uvicorn has its defaults, which
log a line for each request, as the gateway does. Each thread of the pool keeps one connection, in
autocommit.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import psycopg
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from benchmarks.contenders.own_connection import own_connection
from playground.request.request import ImageRequest

__all__ = ["DATABASE", "PATH"]

#: The variable with the database's address.
DATABASE = "BARE_ROUTE_DATABASE_URL"
PATH = "/jobs"

TABLE = """
CREATE TABLE IF NOT EXISTS bare_jobs (
    id uuid PRIMARY KEY,
    idempotency_key text UNIQUE,
    request jsonb NOT NULL,
    metadata jsonb,
    priority int NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = """
INSERT INTO bare_jobs (id, idempotency_key, request, metadata, priority)
VALUES (%s, %s, %s, %s, %s) RETURNING accepted_at
"""
SELECT = "SELECT id, request, metadata, priority, accepted_at FROM bare_jobs WHERE id = %s"

app = FastAPI()


class Submission(BaseModel):
    """The body."""

    request: ImageRequest
    priority: int = 0
    metadata: dict[str, Any] | None = None


class Job(BaseModel):
    """The answer."""

    id: UUID
    status: str
    request: dict[str, Any]
    metadata: dict[str, Any] | None
    priority: int
    accepted_at: datetime


@app.get("/readyz")
def ready() -> dict[str, str]:
    """Answer."""
    return {"status": "ready"}


@app.post(PATH, status_code=202)
def submit(submission: Submission, idempotency_key: Annotated[str | None, Header()] = None) -> Job:
    """Insert a row."""
    job_id = uuid7()
    request = submission.request.model_dump(exclude_none=True)
    metadata = None if submission.metadata is None else Jsonb(submission.metadata)
    values = (job_id, idempotency_key, Jsonb(request), metadata, submission.priority)
    row = own_connection(os.environ[DATABASE]).execute(INSERT, values).fetchone()
    assert row is not None  # noqa: S101 - RETURNING
    return Job(
        id=job_id,
        status="queued",
        request=request,
        metadata=submission.metadata,
        priority=submission.priority,
        accepted_at=row[0],
    )


@app.get(PATH + "/{job_id}")
def show(job_id: UUID) -> Job:
    """Select a row."""
    row = own_connection(os.environ[DATABASE]).execute(SELECT, (job_id,)).fetchone()
    if row is None:
        raise HTTPException(404)
    return Job(
        id=row[0],
        status="queued",
        request=row[1],
        metadata=row[2],
        priority=row[3],
        accepted_at=row[4],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(prog="bare_route", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args(argv)
    with psycopg.connect(os.environ[DATABASE], autocommit=True) as connection:
        connection.execute(TABLE)
    uvicorn.run(app, host="127.0.0.1", port=asked.port, http="httptools")
    return 0


if __name__ == "__main__":
    sys.exit(main())

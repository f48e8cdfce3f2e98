"""Claim a job for a worker, and count the call before it is sent.

The call is counted before it is sent, so that no crash can lose one. A claim carries a token that
the caller chooses: if the response to a claim is lost, the same claim again finds its row. If a job
has reached a limit (too many calls, too late), the claim ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    Update,
    bindparam,
    func,
    null,
    or_,
    select,
    update,
)

from storage.db.bulk_params import as_bulk_params, bulk_rows, matches_rows
from storage.db.database import Database
from storage.db.group_commit import GroupStatement, Rows
from storage.errors import RecordUnreadable
from storage.fleet.daily_calls import spend_one_call
from storage.jobs.needs_release import is_served_by, put_off_for_newer
from storage.jobs.quarantine import quarantine_row
from storage.jobs.rows import job_from_row
from storage.jobs.transition import (
    UNDECODABLE,
    ended_values,
    error_parameters,
    read_job,
    run_ending,
)
from storage.owners.daily_calls import count_one
from storage.records.job import Job, JobError
from storage.records.states import EndCode, JobStatus
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.predicates import QUEUED, has_expired, open_to_claims
from storage.schema.revision import RELEASE
from storage.schema.tables import Tables

# Parameters that differ from claim to claim; the others are the worker's and appear once in a
# statement.
_OWN = ("job_id", "token")

#: Shorter than for other changes: the calls of a group start together when it commits, although the
#: fleet's rate limit had spaced them evenly.
GATHER_S = 0.04


def claim_if_due(
    db: Database,
    job_id: UUID,
    *,
    worker_id: UUID,
    token: UUID,
    call_deadline_s: float,
    max_calls: int,
    max_calls_per_day: int | None = None,
    serves_release: int = RELEASE,
) -> Job | None:
    """Claim a queued job that is due: queued to running, in one statement.

    The fence rises; the attempt and the call are counted.

    Args:
        db: The results table.
        job_id: The job.
        worker_id: The worker that claims it.
        token: New for every claim; the same when a claim is repeated after a lost response.
        call_deadline_s: Seconds from now until the call's deadline.
        max_calls: How many calls a job may cost (since it was last retried by hand); at the limit,
            it fails as `CALLS_EXHAUSTED`.
        max_calls_per_day: How many calls the whole fleet may send today (in UTC); None for no
            limit.
        serves_release: The newest release whose jobs the worker can serve.

    Returns:
        The row as claimed. None if there is nothing to claim: the job is unknown, held, ended, not
        due yet, in a batch that is not open, or needs a newer release. None also if it was ended
        just now because a limit was reached or the row cannot be read.

    Raises:
        DayExhausted: The fleet's daily limit is reached; nothing was claimed.
        DatabaseUnavailable: Possibly claimed: call again with the same token.
    """
    parameters = {
        "job_id": job_id,
        "by_worker": worker_id,
        "token": token,
        "call_deadline_s": call_deadline_s,
        "max_calls": max_calls,
        "serves_release": serves_release,
    }
    if max_calls_per_day is None:
        job = db.run_grouped(_CLAIM_GROUP, parameters)
        if job is not None:
            return job
    try:
        row = _claim_alone(db, parameters, max_calls_per_day)
        if row is not None:
            return job_from_row(row)
        return _claimed_before(db, parameters)
    except (*UNDECODABLE, RecordUnreadable) as error:
        quarantine_row(db, job_id, token=token, reason=str(error))
        return None


def _bind_claims(claims: Rows) -> dict[str, Any]:
    rows = [{name: claim[name] for name in _OWN} for claim in _with_same_terms(claims)]
    return _terms(claims[0]) | as_bulk_params(rows)


def _claimed_jobs(claims: Rows, claimed: Sequence[RowMapping]) -> list[Job | None]:
    jobs = {job.claim_token: job for job in map(job_from_row, claimed)}
    return [jobs.get(claim["token"]) for claim in claims]


def _with_same_terms(claims: Rows) -> Rows:
    """Return the claims that differ from the first only in job and token; others are made alone."""
    return [claim for claim in claims if _terms(claim) == _terms(claims[0])]


def _terms(claim: Mapping[str, Any]) -> dict[str, Any]:
    return {name: claim[name] for name in claim if name not in _OWN}


def _claim_alone(db: Database, parameters: dict[str, object], max_calls_per_day: int | None) -> Any:
    if max_calls_per_day is not None:
        return _claim_within_day(db, parameters, max_calls_per_day)
    with db.statement() as connection:
        return _claimed(db.tables, connection, parameters)


def _claim_within_day(db: Database, parameters: dict[str, object], limit: int) -> Any:
    """Count the call against the daily limit and claim, both or neither."""
    with db.begin() as connection, connection.begin_nested() as both:
        spend_one_call(db.tables, connection, limit)
        row = _claimed(db.tables, connection, parameters)
        if row is None:
            both.rollback()
        return row


def _claimed(tables: Tables, connection: Connection, parameters: dict[str, object]) -> Any:
    """Claim, and count the call of an owner with a daily limit; on PostgreSQL in one statement."""
    row = connection.execute(_claim(tables), parameters).mappings().first()
    if row is not None and tables.is_sqlite:
        connection.execute(_count_call(tables), {"of_owner": row["owner"]})
    return row


def _claimed_before(db: Database, claim: Mapping[str, Any]) -> Job | None:
    job = read_job(db, claim["job_id"])
    if job is None:
        return None
    if job.status is JobStatus.RUNNING and job.claim_token == claim["token"]:
        return job
    if job.status is JobStatus.QUEUED:
        if (job.needs_release or 0) > claim["serves_release"]:
            put_off_for_newer(db, job.id, serves_release=claim["serves_release"])
        else:
            _end_at_limit(db, job, claim["max_calls"])
    return None


def _end_at_limit(db: Database, job: Job, max_calls: int) -> None:
    calls = job.calls_made - job.calls_before
    if calls >= max_calls:
        words = f"{calls} calls made, {max_calls} allowed"
        error = JobError(EndCode.CALLS_EXHAUSTED, words, "darkroom")
        limits = {"job_id": job.id, "max_calls": max_calls}
        run_ending(db, _exhaust(db.tables), limits | error_parameters(error))
    elif job.expires_at is not None:
        run_ending(db, _expire(db.tables), {"job_id": job.id} | error_parameters(EXPIRED))


EXPIRED = JobError(EndCode.EXPIRED, "not started by its expires_at", "operator")
"""The error of a job that was not started before its deadline."""


@cache
def _claim(tables: Tables) -> Update | Select[Any]:
    this_job = tables.jobs.c.id == bindparam("job_id")
    claim = _claim_where(tables, this_job, bindparam("token")).returning(*tables.jobs.c)
    return claim if tables.is_sqlite else _with_calls_counted(tables, claim)


@cache
def _claim_all(tables: Tables) -> Select[Any]:
    rows = bulk_rows("job_id", "token")
    claim = _claim_where(tables, matches_rows(tables, rows), rows.c.token)
    return _with_calls_counted(tables, claim.returning(*tables.jobs.c))


def _with_calls_counted(tables: Tables, claim: Any) -> Select[Any]:
    claimed = claim.cte("claimed")
    counted = count_one(tables, claimed.c.owner, of=claimed).cte("counted")
    return select(claimed).add_cte(counted)


@cache
def _count_call(tables: Tables) -> Any:
    return count_one(tables, bindparam("of_owner", type_=Text()))


def _claim_where(tables: Tables, matches: ColumnElement[bool], token: ColumnElement[Any]) -> Update:
    jobs = tables.jobs
    due = (
        matches,
        QUEUED,
        or_(jobs.c.not_before.is_(None), jobs.c.not_before <= instant()),
        jobs.c.calls_made - jobs.c.calls_before < bindparam("max_calls"),
        ~has_expired(tables),
        open_to_claims(tables),
        is_served_by(tables, bindparam("serves_release")),
    )
    changes = {
        "status": JobStatus.RUNNING.value,
        "fence": jobs.c.fence + 1,
        "attempts": jobs.c.attempts + 1,
        "calls_made": jobs.c.calls_made + 1,
        "worker_id": bindparam("by_worker"),
        "claim_token": token,
        "call_deadline": after(seconds_param("call_deadline_s")),
        "first_call_at": func.coalesce(jobs.c.first_call_at, now()),
        "not_before": null(),
        "dispatched_at": null(),
    }
    return update(jobs).where(*due).values(changes)


@cache
def _exhaust(tables: Tables) -> Update:
    jobs = tables.jobs
    spent = jobs.c.calls_made - jobs.c.calls_before >= bindparam("max_calls")
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"), QUEUED, spent)
        .values(ended_values(JobStatus.FAILED))
    )


@cache
def _expire(tables: Tables) -> Update:
    jobs = tables.jobs
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"), QUEUED, has_expired(tables))
        .values(ended_values(JobStatus.CANCELLED))
    )


_CLAIM_GROUP = GroupStatement(
    build=_claim_all,
    bind=_bind_claims,
    results=_claimed_jobs,
    gather_s=GATHER_S,
    # Alone, a row that cannot be read is found and quarantined.
    ungroup_after=(*UNDECODABLE, RecordUnreadable),
)

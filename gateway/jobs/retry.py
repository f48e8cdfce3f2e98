"""Retry jobs over HTTP: jobs that ended without an image are queued again, which costs calls.

Every retried job costs at least one more call, so each response says how many calls it may cost. If
a call's outcome is unknown, the image may be paid for already, and the caller must confirm the
retry with `pay_again`: nothing is knowingly paid twice.
"""

import time
from collections import Counter
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gateway.auth.caller import Caller, Scope, caller_with
from gateway.auth.owned import own_job
from gateway.errors import WouldPayAgain
from gateway.http.body import read_body
from gateway.http.openapi import json_body
from gateway.http.paging import known_parameters_once
from gateway.http.problems import responses
from gateway.jobs.selection import RetryMany, filtered, named, read_bulk
from gateway.services import Services
from gateway.views.job import JobRef, JobView, Links
from storage.jobs.cancel import retry_ended
from storage.queries.filter import tally_jobs, walk_jobs
from storage.queries.get import get_job
from storage.records.job import Job
from storage.records.states import JobStatus

__all__ = ["router"]

Submitter = Annotated[Caller, Depends(caller_with(Scope.SUBMIT))]

#: A bulk body has a thousand ids at most.
MAX_BODY_BYTES = 100_000


class RetryAnswer(BaseModel):
    """The result of retrying one job."""

    retried: bool = Field(description="False where it has a picture, or has not ended.")
    calls_expected: int = Field(description="Paid calls if all goes well.")
    calls_at_most: int = Field(description="Paid calls at most.")
    job: JobView | JobRef = Field(description="Whole only for a key with the scope *read*.")


class RetryCounts(BaseModel):
    """The counts of retrying many; for a dry run, what it would do."""

    dry_run: bool
    jobs: int = Field(0, description="Jobs that are meant.")
    outcome_unknown: int = Field(0, description="Of them, those that may be paid already.")
    calls_expected: int = Field(0, description="Paid calls if all goes well.")
    calls_at_most: int = Field(0, description="Paid calls at most.")
    codes: dict[str, int] = Field({}, description="How often each error ended one.")
    left_alone: dict[str, int] = Field({}, description="Of those named, they stay, by state.")
    missing: list[UUID] = Field([], description="Ids of no job of this owner's.")
    retried: int = Field(0, description="Jobs that stand in the queue again.")
    complete: bool = Field(
        default=True, description="False: time was up; send the same with this `as_of` again."
    )
    as_of: datetime | None = None


def router(services: Services) -> APIRouter:
    """Return the routes that retry."""
    doing = Retrying(services)
    routes = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(known_parameters_once)]
    )
    routes.post(
        "/retry",
        summary="Retry many jobs",
        responses=responses(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
        openapi_extra=json_body(
            RetryMany.model_json_schema(),
            {"status": "failed", "code": "HTTP_500", "dry_run": True},
        ),
    )(doing.many)
    routes.post(
        "/{job_id}/retry",
        summary="Retry a job",
        responses=responses(401, 403, 404, 409, 410, 422, 503),
    )(doing.one)
    return routes


class Retrying:
    """Handle the routes that retry."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._links = Links(services.objects, services.settings.url_expires_s)

    def one(
        self,
        job_id: Annotated[str, Path(description="The job's id.")],
        caller: Submitter,
        *,
        pay_again: Annotated[
            bool, Query(description="Agree to pay for a picture that may be paid already.")
        ] = False,
    ) -> RetryAnswer:
        """Queues a failed or cancelled job again, at the price of new calls."""
        job = own_job(self._database, caller, job_id)
        may_be_retried = _may_be_retried(job)
        if may_be_retried and job.calls_unknown and not pay_again:
            raise self._would_pay_again(1, 1)
        retried = may_be_retried and bool(retry_ended(self._database, [job.id]))
        job = get_job(self._database, job.id)
        return RetryAnswer(
            retried=retried,
            calls_expected=int(retried),
            calls_at_most=retried * self._services.settings.max_calls_per_job,
            job=self._links.view(job, caller),
        )

    async def many(self, request: Request, caller: Submitter) -> RetryCounts:
        """Retries jobs: those listed in `ids`, or all that ended so and match the filters."""
        limits = self._services.settings.limits
        body = await read_body(request, max_bytes=MAX_BODY_BYTES, timeout_s=limits.body_timeout_s)
        return await run_in_threadpool(self._many, read_bulk(RetryMany, body), caller)

    def _many(self, form: RetryMany, caller: Caller) -> RetryCounts:
        counts = RetryCounts(dry_run=form.dry_run)
        if form.ids is not None:
            self._named(form, caller, counts)
        else:
            self._filtered(form, caller, counts)
        return counts

    def _named(self, form: RetryMany, caller: Caller, counts: RetryCounts) -> None:
        jobs = named(self._database, caller, form.ids or [])
        again = [job for job in jobs.found if _may_be_retried(job)]
        counts.missing = jobs.missing
        counts.left_alone = Counter(
            str(job.status) for job in jobs.found if not _may_be_retried(job)
        )
        counts.codes = Counter(job.error.code for job in again if job.error is not None)
        self._price(counts, len(again), sum(job.calls_unknown > 0 for job in again))
        if self._is_agreed(form, counts):
            counts.retried = len(retry_ended(self._database, [job.id for job in again]))

    def _filtered(self, form: RetryMany, caller: Caller, counts: RetryCounts) -> None:
        status = JobStatus(form.status or JobStatus.FAILED)
        meant = filtered(self._database, caller, form, form.code)
        tally = tally_jobs(self._database, status, meant)
        counts.as_of = meant.as_of
        counts.codes = dict(tally.codes)
        self._price(counts, tally.jobs, tally.unknown)
        if not self._is_agreed(form, counts):
            return
        deadline_s = time.monotonic() + self._services.settings.limits.bulk_s
        for ids in walk_jobs(self._database, status, meant):
            counts.retried += len(retry_ended(self._database, ids))
            if time.monotonic() > deadline_s:  # after a chunk, so that every request makes progress
                counts.complete = False
                return

    def _price(self, counts: RetryCounts, jobs: int, unknown: int) -> None:
        counts.jobs = jobs
        counts.outcome_unknown = unknown
        counts.calls_expected = jobs
        counts.calls_at_most = jobs * self._services.settings.max_calls_per_job

    def _is_agreed(self, form: RetryMany, counts: RetryCounts) -> bool:
        """Return whether to retry: not in a dry run, and not paying twice without confirmation."""
        if form.dry_run:
            return False
        if counts.outcome_unknown and not form.pay_again:
            raise self._would_pay_again(counts.jobs, counts.outcome_unknown)
        return True

    def _would_pay_again(self, jobs: int, unknown: int) -> WouldPayAgain:
        most = jobs * self._services.settings.max_calls_per_job
        return WouldPayAgain(
            f"of {jobs} jobs {unknown} may have been paid for already; to retry costs {jobs} calls "
            f"if all goes well, {most} at most: say pay_again to agree, nothing was retried",
            {
                "jobs": jobs,
                "outcome_unknown": unknown,
                "calls_expected": jobs,
                "calls_at_most": most,
            },
        )


def _may_be_retried(job: Job) -> bool:
    """Refuse a cancelled job that has its image: it was paid for and is complete."""
    return job.status in {JobStatus.FAILED, JobStatus.CANCELLED} and not job.images

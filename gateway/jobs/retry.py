"""Retry jobs over HTTP: jobs that ended without an image are queued again, which costs calls.

Each response says how many calls it may cost. If an image may be paid for already, the caller must
confirm the retry with `pay_again`. The rules are in `tasks/bulk/retry_many.py`.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gateway.auth.caller import Caller, Submitter
from gateway.auth.owned import JobId, own_job
from gateway.http.openapi import json_body
from gateway.http.paging import known_parameters_once
from gateway.http.problems import responses
from gateway.jobs.selection import RetryMany, read_bulk, select_own
from gateway.services import Services
from gateway.views.job import JobRef, JobView, Links
from storage.queries.get import get_job
from storage.records.states import JobStatus
from tasks.bulk.retry_many import BulkRetry, EndedJobs, select_ended
from tasks.bulk.selection import NamedJobs, find_named
from tasks.bulk.steps import run_for

__all__ = ["router"]


class RetryAnswer(BaseModel):
    """The result of retrying one job."""

    retried: bool = Field(description="False where it has a picture, or has not ended.")
    calls_expected: int = Field(description="Paid calls if all goes well.")
    calls_at_most: int = Field(description="Paid calls at most.")
    job: JobView | JobRef = Field(description="Whole only for a key with the scope *read*.")


class RetryCounts(BaseModel):
    """The counts of retrying many; for a dry run, what it would do."""

    dry_run: bool
    jobs: int = Field(0, description="Jobs selected.")
    outcome_unknown: int = Field(0, description="Of them, those that may be paid already.")
    calls_expected: int = Field(0, description="Paid calls if all goes well.")
    calls_at_most: int = Field(0, description="Paid calls at most.")
    codes: dict[str, int] = Field({}, description="How often each error ended one.")
    left_alone: dict[str, int] = Field({}, description="Of those named, they stay, by state.")
    missing: list[UUID] = Field([], description="Ids of no job of this owner's.")
    retried: int = Field(0, description="Jobs that are queued again.")
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
        job_id: JobId,
        caller: Submitter,
        *,
        pay_again: Annotated[
            bool, Query(description="Agree to pay for a picture that may be paid already.")
        ] = False,
    ) -> RetryAnswer:
        """Queues a failed or cancelled job again, at the price of new calls."""
        job = own_job(self._database, caller, job_id)
        retry = self._bulk(find_named(self._database, [job.id], owner=caller.owner))
        run_for(None, retry.steps(pay_again=pay_again))
        job = get_job(self._database, job.id)
        retried = retry.result.retried == 1
        return RetryAnswer(
            retried=retried,
            calls_expected=retry.result.calls_expected if retried else 0,
            calls_at_most=retry.result.calls_at_most if retried else 0,
            job=self._links.view(job, caller),
        )

    async def many(self, request: Request, caller: Submitter) -> RetryCounts:
        """Retries jobs: those listed in `ids`, or all that ended so and match the filters."""
        timeout_s = self._services.settings.limits.body_timeout_s
        form = await read_bulk(request, RetryMany, timeout_s=timeout_s)
        return await run_in_threadpool(self._many, form, caller)

    def _many(self, form: RetryMany, caller: Caller) -> RetryCounts:
        jobs: NamedJobs | EndedJobs
        if form.ids is not None:
            jobs, as_of = find_named(self._database, form.ids, owner=caller.owner), None
        else:
            selection = select_own(self._database, caller, form, form.code)
            status = JobStatus(form.status or JobStatus.FAILED)
            jobs, as_of = select_ended(self._database, selection, status), selection.as_of
        retry = self._bulk(jobs)
        if not form.dry_run:
            limit_s = None if form.ids else self._services.settings.limits.bulk_s
            run_for(limit_s, retry.steps(pay_again=form.pay_again))
        return RetryCounts(dry_run=form.dry_run, as_of=as_of, **asdict(retry.result))

    def _bulk(self, jobs: NamedJobs | EndedJobs) -> BulkRetry:
        return BulkRetry(
            self._database, jobs, max_calls_per_job=self._services.settings.max_calls_per_job
        )

"""Cancel jobs over HTTP: one job, or many by id or filter, with counts of the results.

A queued job ends at once. A job that a worker holds is only asked to stop: its call is paid for, so
an image that it returns is kept.
"""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gateway.auth.caller import Caller, Submitter
from gateway.auth.owned import JobId, own_job
from gateway.http.openapi import json_body
from gateway.http.paging import known_parameters_once
from gateway.http.problems import responses
from gateway.jobs.selection import CancelMany, read_bulk, select_own
from gateway.services import Services
from gateway.views.job import JobRef, JobView, Links
from storage.jobs.cancel import CancelOutcome, ask_cancel
from storage.queries.filter import Selection
from storage.queries.get import get_job
from tasks.bulk.cancel_many import BulkCancel
from tasks.bulk.selection import NamedJobs, find_named
from tasks.bulk.steps import run_for

__all__ = ["CancelCounts", "Cancelling", "router"]


class CancelAnswer(BaseModel):
    """The result of cancelling one job."""

    outcome: CancelOutcome = Field(
        description="cancelled: it had not begun. asked: it ends with the call under way. "
        "ended_already: nothing was changed."
    )
    job: JobView | JobRef = Field(description="Whole only for a key with the scope *read*.")


class CancelCounts(BaseModel):
    """The counts of cancelling many jobs; for a dry run, what it would do."""

    dry_run: bool
    cancelled: int = Field(0, description="They had not begun, and have ended now.")
    asked: int = Field(0, description="They end with the call under way.")
    ended_before: int = Field(0, description="Of those named, they had ended before.")
    missing: list[UUID] = Field([], description="Ids of no job of this owner's.")
    complete: bool = Field(
        default=True, description="False: time was up; send the same with this `as_of` again."
    )
    as_of: datetime | None = None


def router(services: Services) -> APIRouter:
    """Return the routes that cancel."""
    doing = Cancelling(services)
    routes = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(known_parameters_once)]
    )
    routes.post(
        "/cancel",
        summary="Cancel many jobs",
        responses=responses(400, 401, 403, 404, 408, 413, 415, 422, 503),
        openapi_extra=json_body(
            CancelMany.model_json_schema(), {"since": "2026-05-01T08:30:00Z", "dry_run": True}
        ),
    )(doing.many)
    routes.post(
        "/{job_id}/cancel",
        summary="Cancel a job",
        responses=responses(401, 403, 404, 410, 422, 503),
    )(doing.one)
    return routes


class Cancelling:
    """Handle the routes that cancel."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._links = Links(services.objects, services.settings.url_expires_s)

    def one(self, job_id: JobId, caller: Submitter) -> CancelAnswer:
        """Cancels a job; repeating the request is harmless."""
        job = own_job(self._database, caller, job_id)
        outcome = ask_cancel(self._database, job.id)
        job = get_job(self._database, job.id)
        return CancelAnswer(outcome=outcome, job=self._links.view(job, caller))

    async def many(self, request: Request, caller: Submitter) -> CancelCounts:
        """Cancels jobs: those listed in `ids`, or all that match the filters."""
        timeout_s = self._services.settings.limits.body_timeout_s
        form = await read_bulk(request, CancelMany, timeout_s=timeout_s)
        return await run_in_threadpool(self.cancel_many, form, caller)

    def cancel_many(self, form: CancelMany, caller: Caller) -> CancelCounts:
        """Cancel the caller's selected jobs, as far as time allows."""
        jobs: NamedJobs | Selection
        if form.ids is not None:
            jobs, as_of = find_named(self._database, form.ids, owner=caller.owner), None
        else:
            jobs = select_own(self._database, caller, form)
            as_of = jobs.as_of
        cancel = BulkCancel(self._database, jobs)
        if form.dry_run:
            result = cancel.count()
        else:
            limit_s = None if form.ids else self._services.settings.limits.bulk_s
            run_for(limit_s, cancel.steps())
            result = cancel.result
        return CancelCounts(dry_run=form.dry_run, as_of=as_of, **asdict(result))

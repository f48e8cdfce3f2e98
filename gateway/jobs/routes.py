"""Serve single jobs over HTTP: submit, show, list, and fetch their images.

How a body is read is in `submission.py`. Changes of jobs are in `cancel.py`, `retry.py` and
`delete.py`. Event streams are in `events.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from gateway.auth.caller import Caller, Reader, Scope, caller_of, caller_with
from gateway.auth.owned import JobId, own_batch, own_job, own_shown_job
from gateway.errors import NotFound, NotThere
from gateway.http.body import read_body
from gateway.http.direct_route import DirectRoute
from gateway.http.openapi import SUBMISSION, job_answer
from gateway.http.paging import (
    Since,
    is_asked,
    known_parameters_once,
    next_link,
    next_path,
    read_cursor,
)
from gateway.http.problems import responses
from gateway.jobs.accepting import AcceptJobs, run_small_inline
from gateway.jobs.submission import (
    IDEMPOTENCY_KEY,
    MAX_KEY_CHARS,
    Submission,
    idempotency_key_of,
    prepare,
    wait_s_of,
)
from gateway.jobs.waiting import wait_for_end
from gateway.services import Services
from gateway.views.job import JobPage, JobView, Links, SubmittedRef, SubmittedView
from gateway.views.job_json import job_bytes, page_bytes, submitted_bytes, submitted_ref_bytes
from storage.dispatch.queue_outline import QueueOutline
from storage.intake.insert import Accepted
from storage.queries.pages import page_of_shown_jobs
from storage.queries.shown_job import ShownJob, shown_job
from storage.records.states import ENDED, JobStatus

__all__ = ["router"]

MAX_PAGE_JOBS = 200
POSITION = "position"

Code = Annotated[
    str | None, Query(pattern="^[A-Z0-9_]{1,100}$", description="Only jobs with this error code.")
]


def router(services: Services) -> APIRouter:
    """Return the routes of single jobs."""
    jobs = Jobs(services)
    routes = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(known_parameters_once)]
    )
    routes.add_api_route(
        "",
        jobs.submit,
        methods=["POST"],
        route_class_override=DirectRoute,
        status_code=202,
        summary="Submit a job",
        response_model=SubmittedView | SubmittedRef,
        responses=job_answer(
            200, "The same job again, or one that has ended: waited for, or reused."
        )
        | job_answer(202, "Accepted.")
        | responses(400, 401, 403, 408, 409, 410, 413, 415, 422, 429, 503),
        openapi_extra=SUBMISSION,
    )
    routes.get(
        "",
        summary="Jobs, newest first",
        response_model=JobPage,
        responses=responses(401, 403, 404, 422, 503),
    )(jobs.page)
    routes.get(
        "/{job_id}",
        summary="One job",
        response_model=JobView,
        responses=responses(401, 403, 404, 410, 422, 503),
    )(jobs.show)
    routes.get(
        "/{job_id}/images/{n}",
        summary="One picture",
        response_class=Response,
        responses=PICTURE | responses(401, 403, 404, 409, 410, 422, 503),
        status_code=302,
    )(jobs.picture)
    return routes


#: The responses of fetching an image, for the OpenAPI document.
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture itself, with `?download`.",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    302: {
        "description": "A signed link to the picture, for a while.",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
}


class Jobs:
    """Handle the routes of single jobs, one method each."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._queue = QueueOutline(services.database)
        self._links = Links(services.objects, services.settings.url_expires_s)
        self._jobs = AcceptJobs(services)

    async def submit(
        self,
        request: Request,
        _caller: Annotated[Caller | None, Depends(caller_with(Scope.SUBMIT))] = None,
        _position: Annotated[
            str | None,
            Query(alias=POSITION, description="Estimate `queue_position`; without it, it is null."),
        ] = None,
        _key: Annotated[
            str | None,
            Header(
                alias=IDEMPOTENCY_KEY,
                min_length=1,
                max_length=MAX_KEY_CHARS,
                description="The same key with the same request is the same job.",
            ),
        ] = None,
        _prefer: Annotated[
            str | None,
            Header(alias="Prefer", description="`wait=N`: answer at the end, or after N ≤ 60 s."),
        ] = None,
    ) -> Response:
        """Checks a request, stores it as a job, and responds at once, or when the job has ended."""
        await known_parameters_once(request)
        caller = await caller_of(request, Scope.SUBMIT)
        key = idempotency_key_of(request)
        max_queued = await self._jobs.admit(caller.owner, key)
        limits = self._services.settings.limits
        body = await read_body(
            request, max_bytes=limits.max_body_bytes, timeout_s=limits.body_timeout_s
        )
        prepared = await run_small_inline(
            len(body),
            prepare,
            self._services.intake,
            body,
            Submission(caller, key, max_queued),
            max_text_bytes=limits.max_text_bytes,
        )
        accepted = await self._jobs.accept(prepared, max_queued)
        return await self._answer(request, caller, accepted)

    async def _answer(self, request: Request, caller: Caller, accepted: Accepted) -> Response:
        job, created = ShownJob.of(accepted.job), accepted.created
        headers = {"Location": f"/v1/jobs/{job.id}"}
        wait_s = wait_s_of(request, self._services.settings.limits.max_wait_s)
        with_position = is_asked(request.query_params.get(POSITION))
        if wait_s and job.status not in ENDED:
            if await wait_for_end(self._services.watch, job.id, caller.owner, wait_s):
                headers["Preference-Applied"] = f"wait={wait_s:g}"
            job = await run_in_threadpool(shown_job, self._database, job.id)
        if not caller.may_read:
            content = submitted_ref_bytes(job, created=created)
        elif created and not with_position and job.status not in ENDED:
            # It has no delivery and no image, so nothing is read or signed.
            content = submitted_bytes(job, self._links.sign_if_possible, created=created)
        else:
            content = await run_in_threadpool(
                self._read_submitted, job, created=created, with_position=with_position
            )
        status = 200 if not created or job.status in ENDED else 202
        return _json(content, headers, status)

    def _read_submitted(self, job: ShownJob, *, created: bool, with_position: bool) -> bytes:
        if job.callback_url is not None and job.delivery is None:
            job = shown_job(self._database, job.id)
        place = self._queue.position(job) if with_position else None
        return submitted_bytes(job, self._links.sign_if_possible, place, created=created)

    def show(self, job_id: JobId, caller: Reader) -> Response:
        """Returns everything about a job, with links to its images that work for a limited time."""
        job = own_shown_job(self._database, caller, job_id)
        return _json(job_bytes(job, self._links.sign_if_possible, self._queue.position(job)))

    def page(
        self,
        caller: Reader,
        *,
        status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
        batch: Annotated[UUID | None, Query(description="Only this batch's.")] = None,
        since: Annotated[
            Since | None, Query(description="Accepted then or later, with an offset from UTC.")
        ] = None,
        code: Code = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE_JOBS, description="Jobs on a page.")] = 50,
        cursor: Annotated[
            str | None, Query(max_length=200, description="From the `next` of a page.")
        ] = None,
    ) -> Response:
        """Lists jobs; each page costs the same, and `Link` gives the next one."""
        if batch is not None:
            own_batch(self._database, caller, batch)
        found = page_of_shown_jobs(
            self._database,
            status=status,
            batch_id=batch,
            owner=caller.owner,
            since=since,
            code=code,
            before=None if cursor is None else read_cursor(cursor),
            limit=limit,
        )
        sign = self._links.sign_if_possible
        if found.next is None:
            return _json(page_bytes(found.jobs, sign, None))
        shown = {"status": status, "batch": batch, "since": since, "code": code, "limit": limit}
        following = next_path("/v1/jobs", shown, found.next)
        return _json(page_bytes(found.jobs, sign, following), next_link(following))

    def picture(
        self,
        job_id: JobId,
        n: Annotated[int, Path(ge=0, le=1000, description="Which of its pictures, from 0.")],
        caller: Reader,
        download: Annotated[
            str | None, Query(description="Send the picture itself, not a link to it.")
        ] = None,
    ) -> Response:
        """Redirects to the bucket, or with `?download` sends the bytes through the gateway."""
        job = own_job(self._database, caller, job_id)
        if not job.images:
            raise NotThere(f"the job is {job.status} and has no picture")
        image = next((image for image in job.images if image.index == n), None)
        if image is None:
            raise NotFound(f"the job has {len(job.images)} picture(s)")
        if not is_asked(download):
            return Response(status_code=302, headers={"Location": self._links.sign(image)})
        return StreamingResponse(
            self._services.objects().stream(image.key),
            media_type="image/png",
            headers={
                "Content-Length": str(
                    image.size_bytes
                ),  # so that the client notices an incomplete stream
                "Content-Disposition": f'attachment; filename="{job.id}-{image.index}.png"',
            },
        )


def _json(content: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    return Response(content, status, headers=headers, media_type="application/json")

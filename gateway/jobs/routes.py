"""Serve single jobs over HTTP: submit, show, list, and fetch their images.

How a body is read is in `submission.py`. Changes of jobs are in `cancel.py`, `retry.py` and
`delete.py`. Event streams are in `events.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from gateway.auth.caller import Caller, Scope, caller_with
from gateway.auth.owned import own_batch, own_job, own_shown_job
from gateway.errors import NotFound, NotThere
from gateway.http.body import read_body
from gateway.http.openapi import SUBMISSION, job_answer
from gateway.http.paging import Since, is_asked, known_parameters_once, read_cursor, write_cursor
from gateway.http.problems import responses
from gateway.jobs.accepting import AcceptJobs, run_small_inline
from gateway.jobs.submission import Submission, idempotency_key_of, prepare, wait_s_of
from gateway.jobs.waiting import wait_for_end
from gateway.services import Services
from gateway.views.job import HandedInView, JobPage, JobView, Links, SubmittedRef
from gateway.views.job_json import job_bytes, page_bytes
from storage.dispatch.position import queue_position
from storage.dispatch.queue_outline import QueueOutline
from storage.intake.insert import Accepted
from storage.queries.get import get_job
from storage.queries.pages import page_of_shown_jobs
from storage.records.job import Job
from storage.records.states import ENDED, JobStatus
from storage.webhooks.log import latest_delivery

__all__ = ["router"]

MAX_PAGE_JOBS = 200

JobId = Annotated[
    str, Path(description="The job's id, a UUID.", json_schema_extra={"format": "uuid"})
]
Reader = Annotated[Caller, Depends(caller_with(Scope.READ))]
Submitter = Annotated[Caller, Depends(caller_with(Scope.SUBMIT))]
Code = Annotated[
    str | None, Query(pattern="^[A-Z0-9_]{1,100}$", description="Only jobs with this error code.")
]


def router(services: Services) -> APIRouter:
    """Return the routes of single jobs."""
    jobs = Jobs(services)
    routes = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(known_parameters_once)]
    )
    routes.post(
        "",
        status_code=202,
        summary="Hand in a job",
        response_model=HandedInView | SubmittedRef,
        responses=job_answer(
            200, "The same job again, or one that has ended: waited for, or reused."
        )
        | job_answer(202, "Accepted.")
        | responses(400, 401, 403, 408, 409, 410, 413, 415, 422, 429, 503),
        openapi_extra=SUBMISSION,
    )(jobs.submit)
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
        caller: Submitter,
        position: Annotated[
            str | None, Query(description="Estimate `queue_position`; without it, it is null.")
        ] = None,
        _key: Annotated[
            str | None,
            Header(
                alias="Idempotency-Key",
                min_length=1,
                max_length=255,
                description="The same key with the same request is the same job.",
            ),
        ] = None,
        _prefer: Annotated[
            str | None,
            Header(alias="Prefer", description="`wait=N`: answer at the end, or after N ≤ 60 s."),
        ] = None,
    ) -> Response:
        """Checks a request, stores it as a job, and responds at once, or when the job has ended."""
        limits = self._services.settings.limits
        wait_s = wait_s_of(request, limits.max_wait_s)
        key = idempotency_key_of(request)
        max_queued = await self._jobs.admit(caller.owner, key)
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
        headers = {"Location": f"/v1/jobs/{accepted.job.id}"}
        if wait_s and accepted.job.status not in ENDED:
            if await wait_for_end(self._services.watch, accepted.job.id, caller.owner, wait_s):
                headers["Preference-Applied"] = f"wait={wait_s:g}"
            job = await run_in_threadpool(get_job, self._database, accepted.job.id)
            accepted = Accepted(job, created=accepted.created)
        is_done = not accepted.created or accepted.job.status in ENDED
        if not caller.may_read:
            content = _submitted_ref(accepted)
        elif is_done or is_asked(position):
            content = await run_in_threadpool(
                self._read_submitted, accepted, with_position=is_asked(position)
            )
        else:  # a new job has no delivery and no image: nothing is read or signed
            content = _submitted(accepted, JobView.of(accepted.job, self._links.sign_if_possible))
        status = 200 if is_done else 202
        return Response(content, status, headers=headers, media_type="application/json")

    def _read_submitted(self, accepted: Accepted, *, with_position: bool) -> bytes:
        return _submitted(accepted, self._view(accepted.job, with_position=with_position))

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
        asked = {"status": status, "batch": batch, "since": since, "code": code, "limit": limit}
        following = _path(asked, write_cursor(found.next))
        link = {"Link": f'<{following}>; rel="next"'}
        return _json(page_bytes(found.jobs, sign, following), link)

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

    def _view(self, job: Job, *, with_position: bool) -> JobView:
        place = queue_position(self._database, job) if with_position else None
        told = job.callback_url and latest_delivery(self._database, job_id=job.id)
        return JobView.of(job, self._links.sign_if_possible, place, told or None)


def _submitted(accepted: Accepted, view: JobView) -> bytes:
    handed_in = HandedInView.beside(view, created=accepted.created)
    return handed_in.model_dump_json().encode()


def _submitted_ref(accepted: Accepted) -> bytes:
    job = accepted.job
    ref = SubmittedRef(id=job.id, status=job.status, created=accepted.created)
    return ref.model_dump_json().encode()


def _json(content: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, headers=headers, media_type="application/json")


def _path(asked: Mapping[str, object], cursor: str) -> str:
    given = {name: _text(value) for name, value in asked.items() if value is not None}
    return f"/v1/jobs?{urlencode({**given, 'cursor': cursor})}"


def _text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

"""Serve batches over HTTP: upload a file of lines, follow it, fetch its results, cancel it.

A body is written to disk before it is parsed. Separate threads check and load it, because a batch
takes a minute and single jobs must not wait for it. How lines are checked and loaded is in `tasks`,
as for `darkroom batch`.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from gateway.auth.caller import Caller, Reader, Submitter
from gateway.auth.owned import BatchId, own_batch
from gateway.batches.intake import FORMATS, BatchAccepted, BatchIntake, defaults_of, format_of_body
from gateway.batches.upload import stored_body
from gateway.errors import StillLoading
from gateway.http.fair_slots import FairSlots
from gateway.http.paging import known_parameters_once, next_link, next_path, read_cursor
from gateway.http.problems import responses
from gateway.jobs.cancel import CancelCounts, Cancelling
from gateway.jobs.selection import CancelMany
from gateway.jobs.submission import idempotency_key_of
from gateway.services import Services
from gateway.views.batch import BatchPage, BatchView, result_line
from gateway.views.delivery import DeliveryStatusView, callback_of
from storage.batches.batches import Batch, batch_callback, get_batch, list_batches
from storage.batches.counts import batch_progress
from storage.db.keyset import Cursor
from storage.queries.filter import database_time
from storage.queries.pages import page_of_jobs
from storage.records.states import JobStatus
from storage.webhooks.log import latest_delivery
from tasks.batches.checked_batch import BatchOptions

__all__ = ["router"]

#: Rows read at once for the results: some hundred kilobytes.
PAGE_JOBS: Final = 500
MAX_PAGE_BATCHES: Final = 100


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("text without control characters")
    return text


Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same lines is the same batch.",
    ),
]
SkipInvalid = Annotated[
    bool, Query(description="Skip faulty lines; else one of them refuses the whole batch.")
]
Name = Annotated[
    str | None, AfterValidator(_one_line), Query(max_length=200, description="For people.")
]
Priority = Annotated[int, Query(ge=-100, le=100, description="Of lines that name none.")]
CallbackUrl = Annotated[
    str | None,
    Query(max_length=2000, description="Notified by webhook when all its jobs have ended."),
]
Given = Annotated[
    list[str] | None,
    Query(alias="set", max_length=50, description="`parameter=value` of lines that lack it."),
]

Reuse = Annotated[
    bool | None,
    Query(
        description="Reuse earlier pictures for lines with a seed; default: the owner's setting."
    ),
]

#: The body, for the OpenAPI document.
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "A line is one request, and may have `key`, `metadata` and `priority`. "
        "May be gzipped (`Content-Encoding`).",
        "content": {
            kind: {
                "schema": {"type": "string"},
                "example": 'prompt,key\n"a paper fox",17\n'
                if kind == "text/csv"
                else '{"prompt": "a paper fox", "key": "17"}\n',
            }
            for kind in FORMATS
        },
    }
}

ACCEPTED_BEFORE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": BatchView, "description": "It was accepted before."}
}

#: The results, for the OpenAPI document.
RESULTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A line a job: id, key, metadata, status, object_keys, seed, reused_from, "
        "error.",
        "content": {"application/jsonl": {"schema": {"type": "string"}}},
    }
}


def router(services: Services) -> APIRouter:
    """Return the routes of batches."""
    doing = BatchRoutes(services)
    routes = APIRouter(
        prefix="/v1/batches", tags=["batches"], dependencies=[Depends(known_parameters_once)]
    )
    routes.post(
        "",
        status_code=202,
        summary="Submit a batch",
        response_model_exclude_unset=True,
        responses=ACCEPTED_BEFORE | responses(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        openapi_extra=BODY,
    )(doing.submit)
    routes.get(
        "",
        summary="Batches, newest first",
        response_model_exclude_unset=True,
        responses=responses(401, 403, 422, 503),
    )(doing.page)
    routes.get(
        "/{batch_id}",
        summary="One batch",
        response_model_exclude_unset=True,
        responses=responses(401, 403, 404, 422, 503),
    )(doing.show)
    routes.get(
        "/{batch_id}/results",
        summary="The result of each line",
        response_class=StreamingResponse,
        responses=RESULTS | responses(401, 403, 404, 409, 422, 503),
    )(doing.results)
    routes.post(
        "/{batch_id}/cancel",
        summary="Cancel a batch's jobs",
        responses=responses(401, 403, 404, 409, 422, 503),
    )(doing.cancel)
    return routes


class BatchRoutes:
    """Handle the routes of batches, one method each."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._intake = BatchIntake(services)
        self._cancelling = Cancelling(services)
        loads = services.settings.limits.loads
        self._slots = FairSlots(loads)
        # Separate threads: a load takes minutes, and the routes' threads are for short work.
        self._threads = anyio.CapacityLimiter(loads)

    async def submit(
        self,
        request: Request,
        response: Response,
        caller: Submitter,
        *,
        _key: Key = None,
        skip_invalid: SkipInvalid = False,
        name: Name = None,
        priority: Priority = 0,
        given: Given = None,
        callback_url: CallbackUrl = None,
        reuse: Reuse = None,
    ) -> BatchView:
        """Accepts all lines, or none; the response comes when they are loaded."""
        kind = format_of_body(request)
        options = BatchOptions(
            owner=caller.owner,
            key=idempotency_key_of(request),
            name=name,
            priority=priority,
            defaults=defaults_of(given or []),
            callback_url=callback_url,
            reuse=reuse,
        )
        await run_in_threadpool(self._intake.admit, options)
        limits = self._services.settings.limits
        async with stored_body(
            request, max_bytes=limits.max_batch_bytes, silence_s=limits.silence_s
        ) as file:
            accept = partial(self._intake.accept, skip_invalid=skip_invalid)
            async with self._slots.slot(caller.owner):
                accepted = await anyio.to_thread.run_sync(
                    accept, file, kind, options, limiter=self._threads
                )
        response.status_code = 202 if accepted.created else 200
        response.headers["Location"] = f"/v1/batches/{accepted.batch_id}"
        return await run_in_threadpool(self._view_of, accepted)

    def show(self, batch_id: BatchId, caller: Reader) -> BatchView:
        """Returns a batch's counts, at the same cost for any size.

        The counts are updated as jobs end.
        """
        batch = own_batch(self._database, caller, batch_id)
        return self._with_delivery(self._view(batch, database_time(self._database)))

    def page(
        self,
        response: Response,
        caller: Reader,
        *,
        limit: Annotated[
            int, Query(ge=1, le=MAX_PAGE_BATCHES, description="Batches on a page.")
        ] = 20,
        cursor: Annotated[
            str | None, Query(max_length=200, description="From the `next` of a page.")
        ] = None,
    ) -> BatchPage:
        """Lists batches, including those that are still loading; `Link` gives the next page."""
        before = None if cursor is None else read_cursor(cursor)
        found = list_batches(self._database, owner=caller.owner, before=before, limit=limit + 1)
        asked_at = database_time(self._database)
        views = [self._view(batch, asked_at) for batch in found[:limit]]
        if len(found) <= limit:
            return BatchPage(batches=views, next=None)
        last = found[limit - 1]
        cursor_after = Cursor(last.created_at, last.id)
        following = next_path("/v1/batches", {"limit": limit}, cursor_after)
        response.headers.update(next_link(following))
        return BatchPage(batches=views, next=following)

    def results(
        self,
        batch_id: BatchId,
        caller: Reader,
        status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
    ) -> StreamingResponse:
        """Streams one line of JSON per job, in no particular order, as the job is when read."""
        batch = self._opened(batch_id, caller)
        return StreamingResponse(self._lines(batch, status), media_type="application/jsonl")

    def cancel(self, batch_id: BatchId, caller: Submitter) -> CancelCounts:
        """Cancels all its jobs; `complete` is true if all of them were reached in time."""
        batch = self._opened(batch_id, caller)
        return self._cancelling.cancel_many(CancelMany(batch=batch.id), caller)

    def _opened(self, batch_id: str, caller: Caller) -> Batch:
        batch = own_batch(self._database, caller, batch_id)
        if batch.opened_at is None:
            raise StillLoading("as long as it is, it has no jobs")
        return batch

    def _lines(self, batch: Batch, status: JobStatus | None) -> Iterator[bytes]:
        """Read the rows page by page; no connection is held while the client reads."""
        before: Cursor | None = None
        while True:
            page = page_of_jobs(
                self._database, batch_id=batch.id, status=status, before=before, limit=PAGE_JOBS
            )
            yield b"".join(map(result_line, page.jobs))
            before = page.next
            if before is None:
                return

    def _view(self, batch: Batch, asked_at: datetime) -> BatchView:
        progress = None if batch.opened_at is None else batch_progress(self._database, batch.id)
        return BatchView.of(batch, progress, asked_at)

    def _with_delivery(self, view: BatchView) -> BatchView:
        """Return the batch's callback target and the state of its delivery."""
        target = batch_callback(self._database, view.id)
        delivery = target and latest_delivery(self._database, batch_id=view.id)
        status = DeliveryStatusView.beside(delivery or None)
        return view.model_copy(update={**callback_of(target), "delivery": status})

    def _view_of(self, accepted: BatchAccepted) -> BatchView:
        batch = get_batch(self._database, accepted.batch_id)
        view = self._with_delivery(self._view(batch, database_time(self._database)))
        if not accepted.faulty_lines:
            return view
        left_out = {"faulty_lines": accepted.faulty_lines, "faults": accepted.faults}
        return view.model_copy(update=left_out)

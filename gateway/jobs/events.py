"""Stream a job's states as Server-Sent Events, for clients that would otherwise poll.

There is no log of events: the row is the source, and an event holds its current state. An event's
id names that state. So a client that reconnects with `Last-Event-ID` gets what it missed at once,
as the job's current state, and nothing if the state is the same.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from gateway.auth.caller import Reader
from gateway.auth.owned import JobId, own_job
from gateway.errors import Busy, TooManyRequests
from gateway.http.paging import known_parameters_once
from gateway.http.problems import responses
from gateway.services import Services
from storage.queries.snapshots import Snapshot, snapshots_of
from storage.records.job import Job

__all__ = ["router"]

#: Proxies close a connection without data after about a minute.
ALIVE_S: Final = 15.0

#: How long a browser waits before it reconnects.
RETRY_MS: Final = 2000

EVENT_STREAM: Final = "text/event-stream"

EXAMPLE: Final = (
    "retry: 2000\n\nid: 1-1-running\nevent: status\n"
    'data: {"id":"0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10","status":"running","attempts":1,'
    '"cancel_asked":false,"error_code":null,"ended":false}\n\n'
)

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "An event for every change of status, and the stream's end with the job's.",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": EXAMPLE}},
    },
    204: {"description": "The job has ended and Last-Event-ID names that state: do not reconnect."},
}


def router(services: Services) -> APIRouter:
    """Return the route of events."""
    routes = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(known_parameters_once)]
    )
    routes.get(
        "/{job_id}/events",
        summary="Follow a job",
        response_class=StreamingResponse,
        responses=ANSWERS | responses(401, 403, 404, 410, 422, 429, 503),
    )(Events(services).follow)
    return routes


class Events:
    """Handle the route of events."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def follow(
        self,
        job_id: JobId,
        caller: Reader,
        last_event_id: Annotated[
            str | None, Header(alias="Last-Event-ID", description="Where the last stream ended.")
        ] = None,
    ) -> Response:
        """Sends the job's state, then each change, within about a second."""
        database = self._services.database
        job = await run_in_threadpool(own_job, database, caller, job_id)
        seen = (await run_in_threadpool(snapshots_of, database, [job.id])).get(job.id)
        if seen is not None and seen.has_ended and event_id(seen) == last_event_id:
            return Response(status_code=204)
        self._services.watch.require_room(caller.owner)
        headers = {"X-Accel-Buffering": "no"}  # nginx would buffer the events
        stream = self._stream(job, last_event_id)
        return StreamingResponse(stream, media_type=EVENT_STREAM, headers=headers)

    async def _stream(self, job: Job, told: str | None) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop()
        deadline_s = clock.time() + self._services.settings.limits.events_s
        try:
            async with self._services.watch.on(job.id, job.owner) as watcher:
                yield f"retry: {RETRY_MS}\n\n".encode()
                while clock.time() < deadline_s and not watcher.is_over:
                    seen = await watcher.next_change(ALIVE_S)
                    if seen is None:
                        yield b": still here\n\n"
                    elif event_id(seen) != told:
                        told = event_id(seen)
                        yield event(job.id, seen)
                    if seen is not None and seen.has_ended:
                        return
        except (Busy, TooManyRequests):
            return  # no slot is free any more; the client reconnects by itself


def event_id(seen: Snapshot) -> str:
    """Return the name of a job's state; every gateway gives the same state the same name."""
    asked = "-cancel" if seen.cancel_asked else ""
    return f"{seen.fence}-{seen.attempts}-{seen.status}{asked}"


def event(job_id: UUID, seen: Snapshot) -> bytes:
    """Return one event in its wire format."""
    data = {
        "id": str(job_id),
        "status": seen.status,
        "attempts": seen.attempts,
        "cancel_asked": seen.cancel_asked,
        "error_code": seen.error_code,
        "ended": seen.has_ended,
    }
    return b"id: %s\nevent: status\ndata: %s\n\n" % (event_id(seen).encode(), orjson.dumps(data))

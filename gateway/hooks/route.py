"""Serve `POST /v1/hooks/{name}`: turn a sender's delivery into a job, within milliseconds.

The order matters. The bytes are read within limits and their signature is checked before anything
else uses them. Then they are parsed, filtered, mapped and accepted like any job. The response does
not wait for the image, because senders give up after a few seconds.

A stranger cannot find out which hooks exist. The signature for an unknown name is checked against a
secret that no sender has, and the response is that for a wrong signature. A body must arrive as it
was signed, so a content coding is refused.

A repeated delivery gets the id of its job, with 202 again. The same holds if the key is known but
the request differs, because the sender altered the event between two attempts or because the
mapping was changed. To the sender it is the same event, which it would send again for days after a
conflict. The image for it exists or is being made. A log line records the difference.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from gateway.errors import BodyEncoded, ParameterInvalid
from gateway.hooks.config import Hooks
from gateway.hooks.errors import SignatureInvalid
from gateway.hooks.hook import Hook, JobSubmission
from gateway.hooks.signatures import BodyHmac, Headers, VerifiedSignature
from gateway.http.body import parse_json, read_body
from gateway.http.direct_route import DirectRoute
from gateway.http.openapi import json_body
from gateway.http.problems import responses
from gateway.jobs.accepting import AcceptJobs, run_small_inline
from gateway.services import Services
from playground.errors import RequestInvalid
from storage.errors import IdempotencyConflict, JobForgotten

__all__ = ["Delivered", "router"]

log = logging.getLogger(__name__)

_BODY = json_body(
    {"type": ["object", "array"], "description": "Whatever its sender sends."},
    {"id": "evt_1", "type": "product.created", "product": {"title": "Green tea"}},
)


class Delivered(BaseModel):
    """The result of a delivery."""

    accepted: bool = Field(description="Whether there is a job of it.")
    id: UUID | None = Field(None, description="The job.")
    created: bool | None = Field(None, description="False where an earlier delivery made it.")
    reason: Literal["filtered"] | None = Field(None, description="Why there is no job.")


def router(
    services: Services, hooks: Hooks, *, clock: Callable[[], float] = time.time
) -> APIRouter:
    """Return the route of incoming webhooks.

    Args:
        services: what the routes work with.
        hooks: by name.
        clock: returns seconds since 1970, for signatures that contain a time.
    """
    deliveries = Deliveries(services, hooks, clock)
    routes = APIRouter(prefix="/v1/hooks", tags=["hooks"])
    routes.add_api_route(
        "/{name}",
        deliveries.receive,
        methods=["POST"],
        route_class_override=DirectRoute,
        status_code=202,
        summary="Receive a webhook",
        response_model=Delivered,
        responses=responses(400, 401, 408, 413, 415, 422, 429, 503),
        openapi_extra=_BODY,
    )
    return routes


class Deliveries:
    """Handle the route, step by step."""

    def __init__(self, services: Services, hooks: Hooks, clock: Callable[[], float]) -> None:
        self._services = services
        self._hooks = hooks
        self._clock = clock
        self._jobs = AcceptJobs(services)
        self._unknown_hook = BodyHmac((secrets.token_bytes(32),), header="x-unknown-hook")

    async def receive(
        self,
        request: Request,
        name: Annotated[str, Path(description="The hook, as its file names it.")],
    ) -> Response:
        """Accepts a delivery signed as the hook's file requires.

        The response does not wait for the image.
        """
        limits = self._services.settings.limits
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise BodyEncoded("a hook's body has to come as it was signed, without a coding")
        body = await read_body(
            request, max_bytes=limits.max_text_bytes, timeout_s=limits.body_timeout_s
        )
        headers = dict(request.headers)
        hook, submission = await run_small_inline(len(body), self._read, name, headers, body)
        if submission is None:
            return _answer(Delivered(accepted=False, reason="filtered"))
        delivered = await self._accept(hook, submission, len(body))
        return _answer(delivered)

    def _read(self, name: str, headers: Headers, body: bytes) -> tuple[Hook, JobSubmission | None]:
        """Return the hook and what a delivery submits; None for one that is filtered out."""
        hook, verified = self._checked(name, headers, body)
        payload = parse_json(body)
        if not hook.wants(payload):
            return hook, None
        with _noting_faults(hook):
            return hook, hook.submission_of(payload, body, verified)

    def _checked(self, name: str, headers: Headers, body: bytes) -> tuple[Hook, VerifiedSignature]:
        """Return the hook and what the signature verifies.

        Raises:
            SignatureInvalid: there is no such hook, or its signature is invalid.
        """
        hook = self._hooks.get(name)
        signature = self._unknown_hook if hook is None else hook.signature
        verified = signature.check(headers, body, now_s=self._clock())
        if hook is None or verified is None:
            raise SignatureInvalid
        return hook, verified

    async def _accept(self, hook: Hook, submission: JobSubmission, size_bytes: int) -> Delivered:
        options = submission.options
        max_queued = await self._jobs.admit(hook.owner, options["idempotency_key"])
        intake = self._services.intake
        try:
            with _noting_faults(hook):
                prepared = await run_small_inline(
                    size_bytes, intake.prepare, submission.request, options, max_queued=max_queued
                )
            accepted = await self._jobs.accept(prepared, max_queued)
        except IdempotencyConflict as conflict:
            log.warning(
                "a repeated delivery of hook %s makes another request; the first job stays",
                hook.name,
                extra={"job_id": str(conflict.job_id)},
            )
            return Delivered(accepted=True, id=conflict.job_id, created=False)
        except JobForgotten as forgotten:
            # The same event again: after an error response its sender would send it for days.
            return Delivered(accepted=True, id=forgotten.tombstone.id, created=False)
        return Delivered(accepted=True, id=accepted.job.id, created=accepted.created)


@contextmanager
def _noting_faults(hook: Hook) -> Iterator[None]:
    """Log the fields of a delivery that makes no request."""
    try:
        yield
    except (ParameterInvalid, RequestInvalid) as error:
        fields = [fault.field for fault in error.faults]
        log.warning("a delivery of hook %s makes no request", hook.name, extra={"fields": fields})
        raise


def _answer(delivered: Delivered) -> Response:
    content = delivered.model_dump_json(exclude_none=True)
    return Response(content, 202, media_type="application/json")

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
from collections.abc import Callable
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gateway.errors import BodyEncoded, ParameterInvalid
from gateway.hooks.config import Hooks
from gateway.hooks.errors import SignatureInvalid
from gateway.hooks.hook import Hook
from gateway.hooks.signatures import BodyHmac, Headers, VerifiedSignature
from gateway.http.body import parse_json, read_body
from gateway.http.openapi import json_body
from gateway.http.problems import responses
from gateway.services import Services
from playground.errors import RequestInvalid
from storage.errors import IdempotencyConflict, JobForgotten
from storage.queries.get import job_by_key

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
    routes.post(
        "/{name}",
        status_code=202,
        summary="Take a webhook in",
        response_model_exclude_none=True,
        responses=responses(400, 401, 408, 413, 415, 422, 429, 503),
        openapi_extra=_BODY,
    )(deliveries.receive)
    return routes


class Deliveries:
    """Handle the route, step by step."""

    def __init__(self, services: Services, hooks: Hooks, clock: Callable[[], float]) -> None:
        self._services = services
        self._hooks = hooks
        self._clock = clock
        self._nobodys = BodyHmac((secrets.token_bytes(32),), header="x-nobody")

    async def receive(
        self,
        request: Request,
        name: Annotated[str, Path(description="The hook, as its file names it.")],
    ) -> Delivered:
        """Accepts a delivery signed as the hook's file requires.

        The response does not wait for the image.
        """
        limits = self._services.settings.limits
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise BodyEncoded("a hook's body has to come as it was signed, without a coding")
        body = await read_body(
            request, max_bytes=limits.max_text_bytes, timeout_s=limits.body_timeout_s
        )
        return await run_in_threadpool(self._deliver, name, dict(request.headers), body)

    def _deliver(self, name: str, headers: Headers, body: bytes) -> Delivered:
        hook, genuine = self._checked(name, headers, body)
        try:
            return self._take_in(hook, body, genuine)
        except (ParameterInvalid, RequestInvalid) as error:
            fields = [fault.field for fault in error.faults]
            log.warning(
                "a delivery of hook %s makes no request", hook.name, extra={"fields": fields}
            )
            raise

    def _checked(self, name: str, headers: Headers, body: bytes) -> tuple[Hook, VerifiedSignature]:
        """Return the hook and what the signature verifies.

        Raises:
            SignatureInvalid: there is no such hook, or its signature is invalid.
        """
        hook = self._hooks.get(name)
        signature = self._nobodys if hook is None else hook.signature
        genuine = signature.check(headers, body, now_s=self._clock())
        if hook is None or genuine is None:
            raise SignatureInvalid
        return hook, genuine

    def _take_in(self, hook: Hook, body: bytes, genuine: VerifiedSignature) -> Delivered:
        payload = parse_json(body)
        if not hook.wants(payload):
            return Delivered(accepted=False, reason="filtered")
        asked = hook.ask(payload, body, genuine)
        self._admit(hook.owner, asked.options.get("idempotency_key"))
        try:
            accepted = self._services.intake.accept(asked.request, asked.options)
        except IdempotencyConflict as conflict:
            log.warning(
                "a delivery of hook %s came again with another request; the first one counts",
                hook.name,
                extra={"job_id": str(conflict.job_id)},
            )
            return Delivered(accepted=True, id=conflict.job_id, created=False)
        except JobForgotten as forgotten:
            # The same event again: after an error response its sender would send it for days.
            return Delivered(accepted=True, id=forgotten.tombstone.id, created=False)
        return Delivered(accepted=True, id=accepted.job.id, created=accepted.created)

    def _admit(self, owner: str, key: str | None) -> None:
        """Apply the owner's limits to new deliveries, not to repeated ones."""
        database = self._services.database
        self._services.owners.admit(
            owner, is_known=lambda: key is not None and job_by_key(database, owner, key) is not None
        )

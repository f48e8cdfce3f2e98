"""Translate every error into an RFC 9457 problem document, in this one place.

A document contains the kind of problem (`type`, never changing), what is particular to this request
(`detail`), and every broken rule by field (`faults`). It contains no internals: no database
address, no path, no traceback. Those go to the log.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from gateway.errors import GatewayError, NotFound, ParameterInvalid, WouldPayAgain
from gateway.views.tombstone import TombstoneView
from playground.errors import Fault, RequestInvalid
from storage.errors import (
    BatchNotFound,
    IdempotencyConflict,
    JobForgotten,
    JobNotFound,
    ObjectMissing,
    RecordRefused,
    RowLocked,
    StorageError,
)
from tasks.errors import BatchLoading, PaymentUnconfirmed

__all__ = ["handle_problems", "problem", "problem_of", "responses"]

log = logging.getLogger(__name__)

PROBLEM: Final = "application/problem+json"
URN: Final = "urn:darkroom:problem:"
RETRY_AFTER_S: Final = "5"

#: A problem document's schema, for the OpenAPI document.
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": f"`{URN}` and a slug that never changes."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is particular to this request."},
        "faults": {
            "type": "array",
            "description": "Every broken rule.",
            "items": {
                "type": "object",
                "required": ["field", "value", "rule"],
                "properties": {
                    "field": {"type": "string"},
                    "value": {"type": "string", "description": "As received, shortened."},
                    "rule": {"type": "string", "description": "What it must be."},
                },
            },
        },
    },
}


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str,
    *,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Response:
    """Return one problem document as a response."""
    body = {"type": URN + slug, "title": title, "status": status, "detail": detail, **(facts or {})}
    if faults:
        body["faults"] = [
            {"field": fault.field, "value": fault.value, "rule": fault.rule} for fault in faults
        ]
    content = orjson.dumps(_printable(body))
    return Response(content, status, headers=dict(headers or {}), media_type=PROBLEM)


def problem_of(error: Exception) -> Response:  # noqa: PLR0911 - one row a kind, as in a table
    """Return the document of an expected error.

    Raises:
        Exception: the error itself, if it is unexpected.
    """
    match error:
        case GatewayError():
            return _of_ours(error)
        case RequestInvalid(faults=faults):
            return _of_ours(ParameterInvalid(faults))
        case IdempotencyConflict():
            title = "The idempotency key belongs to another request"
            facts = {"holder": str(error.job_id)}
            return problem(409, "idempotency-conflict", title, str(error), facts=facts)
        case JobForgotten():
            left = {"tombstone": TombstoneView.of(error.tombstone).model_dump(mode="json")}
            return problem(410, "job-forgotten", "The job was forgotten", str(error), facts=left)
        case JobNotFound() | BatchNotFound():
            return _of_ours(NotFound(str(error)))
        case ObjectMissing():
            detail = "the picture is not in the bucket any more"
            return problem(410, "image-gone", "The picture is gone", detail)
        case RecordRefused():
            detail = "it holds a value that no row can hold"
            kind = ParameterInvalid
            return problem(kind.status, kind.slug, kind.title, detail)
        case BatchLoading() | PaymentUnconfirmed():
            return _of_ours(_refused_change(error))
        case StorageError():
            return _of_storage(error)
        case _:
            raise error


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return a route's problem responses, for the OpenAPI document."""
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {n: {"description": HTTPStatus(n).phrase, "content": content} for n in statuses}


def handle_problems(app: FastAPI) -> None:
    """Have every expected error answered with its document."""
    for kind in (GatewayError, RequestInvalid, BatchLoading, PaymentUnconfirmed, StorageError):
        app.add_exception_handler(kind, _foreseen)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _no_route)


def _of_ours(error: GatewayError) -> Response:
    faults = error.faults if isinstance(error, ParameterInvalid) else ()
    return problem(
        error.status,
        error.slug,
        error.title,
        error.detail,
        faults=faults,
        headers=error.headers,
        facts=error.facts,
    )


def _refused_change(error: BatchLoading | PaymentUnconfirmed) -> GatewayError:
    if isinstance(error, BatchLoading):
        rule = "a loaded batch: this one is still loading, and none of its jobs has begun"
        return ParameterInvalid([Fault("batch", str(error.batch_id), rule)])
    price = {
        "jobs": error.jobs,
        "outcome_unknown": error.outcome_unknown,
        "calls_expected": error.calls_expected,
        "calls_at_most": error.calls_at_most,
    }
    return WouldPayAgain(f"{error}; set pay_again to true to confirm", price)


def _of_storage(error: StorageError) -> Response:
    """Hide the address and the reason of a storage error from the caller; they go to the log."""
    if isinstance(error, RowLocked):
        log.warning("a request met a locked row: %s", error)
        return problem(
            503,
            "row-locked",
            "A row is locked",
            "another transaction holds what the request needs, or the database takes too long; "
            "nothing was changed",
            headers={"Retry-After": RETRY_AFTER_S},
        )
    log.error("storage could not serve a request: %s", error, extra={"kind": type(error).__name__})
    return problem(
        503,
        "storage-unavailable",
        "Storage is away",
        "the results table or the bucket cannot be reached or used now; nothing was lost",
        headers={"Retry-After": RETRY_AFTER_S},
    )


async def _foreseen(_request: Request, error: Exception) -> Response:
    return problem_of(error)


async def _unfit(_request: Request, error: Exception) -> Response:
    """Translate FastAPI's own parameter errors into faults."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    faults = [_fault(detail) for detail in error.errors()]
    return problem_of(ParameterInvalid(faults))


def _fault(detail: Mapping[str, Any]) -> Fault:
    field = ".".join(str(part) for part in detail["loc"][1:]) or "request"
    value = "(not given)" if detail["type"] == "missing" else repr(detail.get("input"))[:80]
    return Fault(field, value, str(detail["msg"]).removeprefix("Input should be "))


async def _no_route(_request: Request, error: Exception) -> Response:
    """Answer an unknown address or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    phrase = HTTPStatus(error.status_code).phrase
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem_of(NotFound(phrase.lower()))
    slug = phrase.lower().replace(" ", "-")
    return problem(error.status_code, slug, phrase, phrase.lower(), headers=error.headers)


def _printable(value: Any) -> Any:
    """Escape half a surrogate pair, which texts from outside may hold and JSON cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value

"""Add to the OpenAPI document what FastAPI cannot see: bodies that the gateway's own reader parses.

The request's rules come from the schema in `playground`, so they cannot differ from what is
checked.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.http.problems import SCHEMA
from gateway.views.job import EXAMPLE_JOB, SubmittedRef, SubmittedView
from playground.request.schema import request_schema
from tasks.submission.options import JobOptions

__all__ = ["SUBMISSION", "describe", "job_answer", "json_body"]

SUMMARY: Final = "Prompts in, stored pictures out: nothing lost, nothing knowingly paid twice."


def json_body(schema: dict[str, Any], example: object) -> dict[str, Any]:
    """Return a route's body, for `openapi_extra`."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def job_answer(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the response of a submitted job."""
    headers = {"Location": {"schema": {"type": "string"}, "description": "The job's address."}}
    model = SubmittedView | SubmittedRef
    return {status: {"model": model, "description": description, "headers": headers}}


def describe(app: FastAPI) -> None:
    """Have the app serve the complete OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title="Darkroom", version="1", summary=SUMMARY, routes=app.routes
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = dict(SCHEMA)
            schemas["ImageRequest"] = _request()
            schemas["JobView"]["example"] = EXAMPLE_JOB  # FastAPI would leave out its nulls
            schemas["SubmittedView"]["example"] = {**EXAMPLE_JOB, "created": True}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _request() -> dict[str, Any]:
    schema = request_schema()
    del schema["$schema"]
    return schema


def _options() -> dict[str, Any]:
    properties: dict[str, Any] = JobOptions.model_json_schema()["properties"]
    return {name: properties[name] for name in _OPTIONS}


_OPTIONS: Final = ("priority", "expires_in_s", "callback_url", "on_end", "metadata", "reuse")

SUBMISSION: Final = json_body(
    {
        "type": "object",
        "required": ["request"],
        "additionalProperties": False,
        "properties": {
            "request": {"$ref": "#/components/schemas/ImageRequest"},
            **_options(),
            "expires_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "The same as `expires_in_s`, as a moment with its offset from UTC.",
            },
        },
    },
    {
        "request": EXAMPLE_JOB["request"],
        "metadata": EXAMPLE_JOB["metadata"],
        "priority": 0,
        "expires_in_s": 3600,
    },
)

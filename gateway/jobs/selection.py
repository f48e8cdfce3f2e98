"""Read which jobs a bulk change selects from its body, strictly, and only among the caller's own.

The rules of the changes are in `tasks/bulk/`. A request that takes too long reports how far it got;
the caller repeats it with the `as_of` of the response.
"""

import reprlib
from typing import Annotated, Self, TypeVar
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from gateway.auth.caller import Caller
from gateway.auth.owned import own_batch
from gateway.errors import ParameterInvalid
from gateway.http.body import parse_json, read_body
from gateway.http.paging import Since
from playground.errors import Fault
from storage.db.database import Database
from storage.db.keyset import CHUNK_JOBS
from storage.queries.filter import Selection
from tasks.bulk.job_filter import JobFilter
from tasks.bulk.selection import select_jobs

__all__ = ["MAX_IDS", "CancelMany", "RetryMany", "read_bulk", "select_own"]

#: As many as one step changes.
MAX_IDS = CHUNK_JOBS

#: Room for `MAX_IDS` ids of 39 bytes, with quotes and comma, and the other fields.
MAX_BODY_BYTES = 100_000

_Ids = Annotated[list[UUID], Field(min_length=1, max_length=MAX_IDS)]


class _Bulk(BaseModel):
    """The fields that both changes accept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: _Ids | None = Field(None, description="Jobs by id; then nothing else chooses.")
    batch: UUID | None = Field(None, description="Only this batch's.")
    since: Since | None = Field(None, description="Only those accepted then or later.")
    dry_run: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Count what would be done, and do nothing."
    )
    as_of: Since | None = Field(
        None, description="From an incomplete response: skip jobs accepted later."
    )


class CancelMany(_Bulk):
    """Cancel many: by ids, or by filter, or all."""

    all: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="All of the owner's that have not ended."
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        _one_way(self.ids, any((self.batch, self.since, self.all)), "batch, since or all")
        return self


class RetryMany(_Bulk):
    """Retry many: by ids, or those that failed or were cancelled, optionally filtered."""

    status: str | None = Field(
        None, pattern="^(failed|cancelled)$", description="All that ended so; needed without ids."
    )
    code: str | None = Field(
        None, pattern="^[A-Z0-9_]{1,100}$", description="Only those with this error code."
    )
    pay_again: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Agree to retry jobs whose picture may have been paid for already.",
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.ids and any((self.code, self.since, self.batch)):
            raise ValueError("without batch, since and code, which do not go with ids")
        _one_way(self.ids, self.status is not None, "status")
        return self


def _one_way(ids: list[UUID] | None, is_filtered: object, filters: str) -> None:
    if bool(ids) == bool(is_filtered):
        raise ValueError(f"a selection by either ids, or {filters}")


Form = TypeVar("Form", bound=BaseModel)


async def read_bulk(request: Request, form: type[Form], *, timeout_s: float) -> Form:
    """Read the body of a bulk change.

    Args:
        request: the request.
        form: the fields that the body may have.
        timeout_s: time for the body to arrive.

    Raises:
        BodyTooLarge: it has more than `MAX_BODY_BYTES`.
        BodyEncoded: its content coding is not supported.
        BodyUnreadable: it is invalid JSON, or the client disconnected.
        ParameterInvalid: every fault, by field.
        TooSlow: the time is over.
    """
    body = await read_body(request, max_bytes=MAX_BODY_BYTES, timeout_s=timeout_s)
    given = parse_json(body or b"{}")
    try:
        return form.model_validate(given)
    except ValidationError as error:
        raise ParameterInvalid([_fault(detail) for detail in error.errors()]) from None


def select_own(
    database: Database, caller: Caller, form: CancelMany | RetryMany, code: str | None = None
) -> Selection:
    """Return the caller's jobs that match, up to the moment of the first request.

    Raises:
        NotFound: the caller's owner has no such batch.
        BatchLoading: the batch is still loading.
        StorageError: the jobs cannot be read.
    """
    if form.batch is not None:
        own_batch(database, caller, form.batch)
    filters = JobFilter(form.batch, caller.owner, form.since, code)
    return select_jobs(database, filters, as_of=form.as_of)


def _fault(detail: ErrorDetails) -> Fault:
    field = ".".join(str(part) for part in detail["loc"]) or "body"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    value = "(not shown)" if field == "body" else shown(detail["input"])
    return Fault(field, value, message)


def shown(value: object) -> str:
    """Return a value of any size, shortened."""
    return reprlib.repr(value)[:80]

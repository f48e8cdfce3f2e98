"""Read which jobs a bulk change selects from its body, strictly, and only among the caller's own.

A million jobs are changed a thousand at a time, and each thousand is committed. A request that
takes too long reports how far it got, and repeating it does the rest. `as_of` excludes jobs that
were accepted, or failed again, since the first request.
"""

import reprlib
from dataclasses import dataclass
from typing import Annotated, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from gateway.auth.caller import Caller
from gateway.auth.owned import own_batch
from gateway.errors import ParameterInvalid
from gateway.http.body import parse_json
from gateway.http.paging import Since
from playground.errors import Fault
from storage.db.database import Database
from storage.queries.filter import Selection, database_time
from storage.queries.get import get_jobs
from storage.records.job import Job

__all__ = ["MAX_IDS", "CancelMany", "Named", "RetryMany", "filtered", "named", "read_bulk"]

#: Chosen for Darkroom: as many as one chunk of changes takes.
MAX_IDS = 1000

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
        None, description="From an answer that was not complete: leave alone what came later."
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
            raise ValueError("without batch, since and code: ids choose alone")
        _one_way(self.ids, self.status is not None, "status")
        return self


def _one_way(ids: list[UUID] | None, is_filtered: object, filters: str) -> None:
    if bool(ids) == bool(is_filtered):
        raise ValueError(f"told either ids, or {filters}")


Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Named:
    """The caller's jobs that were listed by id.

    Attributes:
        found: the jobs that exist.
        missing: ids that belong to no job of the caller's owner.
    """

    found: list[Job]
    missing: list[UUID]


def read_bulk(form: type[Form], body: bytes) -> Form:
    """Read the body of a bulk change.

    Raises:
        BodyUnreadable: it is invalid JSON.
        ParameterInvalid: every fault, by field.
    """
    given = parse_json(body or b"{}")
    try:
        return form.model_validate(given)
    except ValidationError as error:
        raise ParameterInvalid([_fault(detail) for detail in error.errors()]) from None


def named(database: Database, caller: Caller, ids: list[UUID]) -> Named:
    """Look up jobs by id; another owner's jobs count as missing.

    Raises:
        StorageError: the jobs cannot be read.
    """
    wanted = list(dict.fromkeys(ids))
    own = {job.id: job for job in get_jobs(database, wanted) if job.owner == caller.owner}
    return Named([own[i] for i in wanted if i in own], [i for i in wanted if i not in own])


def filtered(
    database: Database, caller: Caller, form: CancelMany | RetryMany, code: str | None = None
) -> Selection:
    """Return the caller's jobs that match, up to the moment of the first request.

    Raises:
        NotFound: the caller's owner has no such batch.
        ParameterInvalid: the batch is still loading.
        StorageError: the jobs cannot be read.
    """
    if form.batch is not None and own_batch(database, caller, form.batch).opened_at is None:
        rule = "a batch that is in: this one is still being handed in, and none of it has begun"
        raise ParameterInvalid([Fault("batch", str(form.batch), rule)])
    moment = database_time(database)
    return Selection(
        as_of=moment if form.as_of is None else min(moment, form.as_of),
        batch_id=form.batch,
        owner=caller.owner,
        since=form.since,
        code=code,
    )


def _fault(detail: ErrorDetails) -> Fault:
    field = ".".join(str(part) for part in detail["loc"]) or "body"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    value = "(not shown)" if field == "body" else shown(detail["input"])
    return Fault(field, value, message)


def shown(value: object) -> str:
    """Return a value of any size, shortened."""
    return reprlib.repr(value)[:80]

"""Which jobs a bulk change means: read from its body, strictly, and always the caller's own.

A million jobs are changed a thousand at a time, each thousand for good. So a request that takes too
long says how far it got, and the same one again does the rest; `as_of` keeps it from meeting jobs
that came, or failed again, since it was first sent.
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

#: Ours: as many as one chunk of changes takes.
MAX_IDS = 1000

_Ids = Annotated[list[UUID], Field(min_length=1, max_length=MAX_IDS)]


class _Bulk(BaseModel):
    """What both changes may be told."""

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
    """Retry many: by ids, or those that failed or were cancelled, or of them some."""

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
    """Jobs of the caller's that were named one by one.

    Attributes:
        found: those there are.
        missing: ids of no job of the caller's.
    """

    found: list[Job]
    missing: list[UUID]


def read_bulk(form: type[Form], body: bytes) -> Form:
    """Read the body of a bulk change.

    Raises:
        BodyUnreadable: it is no JSON.
        ParameterInvalid: every fault, by field.
    """
    given = parse_json(body or b"{}")
    try:
        return form.model_validate(given)
    except ValidationError as error:
        raise ParameterInvalid([_fault(detail) for detail in error.errors()]) from None


def named(database: Database, caller: Caller, ids: list[UUID]) -> Named:
    """Look up jobs by id; another owner's are none.

    Raises:
        StorageError: nobody can say.
    """
    wanted = list(dict.fromkeys(ids))
    own = {job.id: job for job in get_jobs(database, wanted) if job.owner == caller.owner}
    return Named([own[i] for i in wanted if i in own], [i for i in wanted if i not in own])


def filtered(
    database: Database, caller: Caller, form: CancelMany | RetryMany, code: str | None = None
) -> Selection:
    """The caller's jobs that fit, up to the moment the change was first asked for.

    Raises:
        NotFound: there is no such batch of the caller's.
        ParameterInvalid: the batch is still being handed in.
        StorageError: nobody can say.
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
    """A value of any size, shortened."""
    return reprlib.repr(value)[:80]

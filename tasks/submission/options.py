"""Check the options of a job: everything that a producer may set besides the request.

Options are checked together with the request, so that one answer lists the faults of both.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from playground.errors import Fault
from tasks.errors import ReceiverRefused
from tasks.webhooks.addresses.receiver import UrlRules, receiver_of
from tasks.webhooks.on_end.callback_target import ON_END_RULE, OnEnd

__all__ = ["RULES", "JobOptions", "option_faults", "parse_options"]

MAX_METADATA_BYTES = 4096

#: The largest priority; the smallest is its negative. More levels than a person needs.
MAX_PRIORITY = 100

RULES = {
    "owner": "1 to 64 of letters, digits, dot, dash, underscore, colon, at-sign",
    "idempotency_key": "1 to 255 characters of text",
    "priority": f"a whole number from {-MAX_PRIORITY} to {MAX_PRIORITY}",
    "metadata": f"a JSON object of at most {MAX_METADATA_BYTES} bytes",
    "callback_url": "an http or https address of at most 2000 characters of ASCII, without a user",
    "on_end": ON_END_RULE,
    "expires_in_s": "a number of seconds above 0, at most 30 days",
    "reuse": "true or false",
}

_ENCODE = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode

_Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:@-]+$")]
_Key = Annotated[str, Field(min_length=1, max_length=255)]


class JobOptions(BaseModel):
    """Options of a job, such as its owner, its priority and its callback."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    owner: _Name = Field("default", description="Whose job it is.")
    idempotency_key: _Key | None = Field(
        None, description="The same key of the same owner is the same job."
    )
    priority: Annotated[int, Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY)] = Field(
        0, description="Higher goes first."
    )
    metadata: dict[str, Any] | None = Field(None, description="Kept with the job and echoed.")
    callback_url: str | None = Field(
        None, max_length=2000, description="Kept with the job; who to tell when it has ended."
    )
    on_end: OnEnd | None = Field(
        None, description="A Celery task that is sent when it has ended, instead of a webhook."
    )
    expires_in_s: Annotated[
        float | None, Field(gt=0, le=timedelta(days=30).total_seconds(), strict=False)
    ] = Field(None, description="A job not started by then is cancelled.")
    reuse: bool | None = Field(
        None,
        description="Answer it with the picture of an identical request of the same owner, its "
        "seed included, if there is one; unset as the owner has it.",
    )

    @field_validator("idempotency_key")
    @classmethod
    def _storable(cls, text: str | None) -> str | None:
        if text is not None and ("\0" in text or not text.isprintable()):
            raise ValueError("control characters")
        return text

    @field_validator("metadata")
    @classmethod
    def _small_json(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            text = _ENCODE(value)
            if len(text.encode()) > MAX_METADATA_BYTES or "\\u0000" in text:
                raise ValueError("too large")
        return value

    @field_validator("callback_url")
    @classmethod
    def _web_address(cls, text: str | None) -> str | None:
        if text is not None:
            if not text.isprintable():  # pydantic drops line ends and percent-encodes the rest
                raise ValueError("control characters")
            AnyHttpUrl(text)
            try:
                receiver_of(text, UrlRules())
            except ReceiverRefused as refused:
                raise ValueError(str(refused)) from None
        return text

    @field_validator("on_end")
    @classmethod
    def _one_to_tell(cls, on_end: OnEnd | None, info: ValidationInfo) -> OnEnd | None:
        if on_end is not None and info.data.get("callback_url") is not None:
            raise ValueError("one of the two")
        return on_end

    @property
    def callback(self) -> str | None:
        """Return the target that is notified of the end, as the row stores it."""
        return self.callback_url if self.on_end is None else self.on_end.target


def parse_options(raw: Mapping[str, Any]) -> tuple[JobOptions | None, list[Fault]]:
    """Return the options, or None and every fault found in them."""
    try:
        return JobOptions.model_validate(raw), []
    except ValidationError as error:
        return None, option_faults(error)
    except (TypeError, ValueError, RecursionError):
        return None, [Fault("metadata", "(not shown)", RULES["metadata"])]


def option_faults(error: ValidationError) -> list[Fault]:
    """Convert pydantic's errors about options into faults, one for each field."""
    found: dict[str, Fault] = {}
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else "options"
        rule = RULES.get(name, f"left out: the options are {', '.join(RULES)}")
        shown = "(not shown)" if name == "metadata" else repr(detail["input"])[:80]
        found.setdefault(name, Fault(name, shown, rule))
    return list(found.values())

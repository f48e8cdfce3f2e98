"""Parse the body of `POST /v1/jobs`, and report everything wrong with it in one response.

The rules of a request and of its options are in `playground` and the intake. This module only
defines which of them HTTP offers, and under which names.
"""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Request

from gateway.auth.caller import Caller, Scope
from gateway.errors import BodyTooLarge, Forbidden, ParameterInvalid
from gateway.http.body import parse_json
from playground.errors import Fault, RequestInvalid
from tasks.submission.intake import Intake, Prepared

__all__ = ["IDEMPOTENCY_KEY", "Submission", "idempotency_key_of", "prepare", "wait_s_of"]

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
MAX_KEY_CHARS: Final = 255

#: The fields that may stand beside `request`. The owner is the caller's, and the key is a header.
OPTIONS: Final = ("priority", "expires_in_s", "callback_url", "on_end", "metadata", "reuse")

#: The same as `expires_in_s`, as a moment; converted to seconds here.
EXPIRES_AT: Final = "expires_at"

FIELDS: Final = ("request", EXPIRES_AT, *OPTIONS)

#: The same limit as that of `JobOptions.expires_in_s`.
MAX_EXPIRY_S: Final = timedelta(days=30).total_seconds()


@dataclass(frozen=True, slots=True)
class Submission:
    """What applies to a job besides its body.

    Attributes:
        caller: the job's owner and scopes.
        key: the idempotency key.
        max_queued: the owner's limit on queued jobs.
    """

    caller: Caller
    key: str | None
    max_queued: int | None


def prepare(intake: Intake, body: bytes, by: Submission, *, max_text_bytes: int) -> Prepared:
    """Check a job and make its row, storing and reading nothing.

    Args:
        intake: where jobs are submitted.
        body: JSON as received.
        by: who submits it.
        max_text_bytes: limit for everything but the initial image.

    Raises:
        BodyUnreadable: it is invalid JSON.
        BodyTooLarge: it has too much text.
        Forbidden: only a key with the scope admin may have a task sent to a queue.
        ParameterInvalid: every fault of request and options, by field.
    """
    given = parse_json(body)
    if not isinstance(given, dict):
        raise ParameterInvalid([Fault("body", type(given).__name__, "a JSON object")])
    if given.get("on_end") is not None and Scope.ADMIN not in by.caller.scopes:
        raise Forbidden("on_end takes a key with the scope admin; callback_url does not")
    request = given.get("request")
    if len(body) > max_text_bytes:
        _check_text(given, max_text_bytes)
    options = {name: given[name] for name in OPTIONS if given.get(name) is not None}
    options["owner"] = by.caller.owner
    if by.key is not None:
        options["idempotency_key"] = by.key
    faults = [_unknown(name) for name in given if name not in FIELDS]
    if given.get(EXPIRES_AT) is not None:
        left_s = _seconds_until(given[EXPIRES_AT])
        if left_s is None or "expires_in_s" in options:
            faults.append(_no_expiry(given[EXPIRES_AT]))
        options["expires_in_s"] = left_s
    try:
        if faults:
            intake.check(request, options)
            raise ParameterInvalid(faults)
        return intake.prepare(request, options, max_queued=by.max_queued)
    except RequestInvalid as error:
        raise ParameterInvalid([*map(_as_named_here, error.faults), *faults]) from None


def idempotency_key_of(request: Request) -> str | None:
    """Return the idempotency key's header, if it is not repeated.

    Raises:
        ParameterInvalid: it is empty or too long, or ambiguous because it is repeated.
    """
    given = request.headers.getlist(IDEMPOTENCY_KEY)
    if len(given) > 1:
        raise ParameterInvalid([Fault(IDEMPOTENCY_KEY, "(several)", "given once")])
    if given and not 1 <= len(given[0]) <= MAX_KEY_CHARS:
        rule = f"1 to {MAX_KEY_CHARS} characters"
        raise ParameterInvalid([Fault(IDEMPOTENCY_KEY, reprlib.repr(given[0])[:80], rule)])
    return given[0] if given else None


def wait_s_of(request: Request, longest_s: float) -> float:
    """Return how many seconds `Prefer: wait=N` requests, up to the limit; 0 without it.

    A preference that cannot be parsed or met is ignored, as RFC 7240 (section 2) requires.
    """
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            digits = value.strip().strip('"')
            if name.strip().lower() == "wait" and digits.isascii() and digits.isdecimal():
                return min(float(digits[:9]), longest_s)
    return 0.0


def _check_text(given: Mapping[str, Any], max_text_bytes: int) -> None:
    """Limit all text but the initial image, which may be large; nothing else needs to be."""
    request = given.get("request")
    if isinstance(request, dict) and isinstance(request.get("init_image"), str):
        given = {**given, "request": {**request, "init_image": ""}}
    if len(json.dumps(given, ensure_ascii=False).encode()) > max_text_bytes:
        raise BodyTooLarge(f"without its init_image a job has at most {max_text_bytes} bytes")


def _seconds_until(moment: object) -> float | None:
    """Return how far off an expiry moment is, in seconds; None for any other value."""
    try:
        until = datetime.fromisoformat(moment) if isinstance(moment, str) else None
        left_s = 0.0 if until is None else (until - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # invalid, or without a UTC offset
        return None
    return left_s if 0 < left_s <= MAX_EXPIRY_S else None


def _no_expiry(value: object) -> Fault:
    rule = "a time to come, with its offset from UTC, at most 30 days off; or expires_in_s instead"
    return Fault(EXPIRES_AT, reprlib.repr(value)[:80], rule)


def _unknown(name: str) -> Fault:
    if name == "idempotency_key":
        rule = f"left out: the key goes into the header {IDEMPOTENCY_KEY}"
    elif name == "owner":
        rule = "left out: the API key says whose job it is"
    else:
        rule = f"left out: a job has {', '.join(FIELDS)}"
    return Fault(name[:80], "(not shown)", rule)


def _as_named_here(fault: Fault) -> Fault:
    if fault.field != "idempotency_key":
        return fault
    return Fault(IDEMPOTENCY_KEY, fault.value, fault.rule)

"""Translate every response that is not a success into an error, in this one place.

The gateway reports problems as RFC 9457 `application/problem+json`. An intermediary (a proxy, a
load balancer) may send anything, so no member of a body is assumed to be present.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from darkroom_client import errors

_BY_STATUS: dict[int, type[errors.Refused]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.NotFound,
    413: errors.InvalidRequest,
    415: errors.InvalidRequest,
    422: errors.InvalidRequest,
    429: errors.TooManyRequests,
}
#: A gateway that is starting, stopping or without its database, or a proxy that cannot reach it;
#: and a request that took too long to arrive.
_AWAY = frozenset({408, 502, 503, 504})
_COMMON = frozenset({"type", "title", "status", "detail", "faults"})
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


def problem(
    status: int, headers: Mapping[str, str], body: object, idempotency_key: str | None = None
) -> errors.DarkroomError:
    """Return the error for a response that is not a success.

    Args:
        status: the HTTP status, 300 or more.
        headers: the response's headers, names in any case.
        body: its JSON, or None if it was not JSON.
        idempotency_key: the request's idempotency key.
    """
    if 300 <= status < 400:  # noqa: PLR2004 - redirections: RFC 9110, 15.4
        return errors.NotTheGateway(f"HTTP {status}: the gateway never redirects such a request")
    told: Mapping[str, Any] = body if isinstance(body, dict) else {}
    wait_s = retry_after_s(headers)
    if status in _AWAY:
        what = _text(told, "detail") or _text(told, "title") or "the gateway is not available"
        return errors.Unavailable(
            f"HTTP {status}: {what}", retry_after_s=wait_s, idempotency_key=idempotency_key
        )
    error = _BY_STATUS.get(status, errors.GatewayFault)(
        status,
        type=_text(told, "type") or "about:blank",
        title=_text(told, "title"),
        detail=_text(told, "detail"),
        faults=faults_of(told.get("faults")),
        facts={name: value for name, value in told.items() if name not in _COMMON},
    )
    if isinstance(error, errors.TooManyRequests):
        error.retry_after_s = wait_s
    return error


def faults_of(told: object) -> tuple[errors.Fault, ...]:
    """Parse a problem's `faults`, leaving out malformed ones."""
    found = told if isinstance(told, list) else []
    return tuple(_fault(each) for each in found if isinstance(each, dict))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds or a date; None if absent or invalid."""
    values = {name.lower(): value.strip() for name, value in headers.items()}
    value = values.get("retry-after", "")
    if _SECONDS.fullmatch(value):
        return float(value)
    then = _timestamp(value)
    if then is None:
        return None
    now = _timestamp(values.get("date", ""))
    return max(0.0, then - (time.time() if now is None else now))


def _timestamp(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _fault(told: Mapping[str, Any]) -> errors.Fault:
    line = told.get("line")
    value = told.get("value")
    return errors.Fault(
        _text(told, "field"),
        value if isinstance(value, str) else repr(value),
        _text(told, "rule"),
        line if isinstance(line, int) else None,
    )

"""Page through lists with an opaque cursor, and refuse misspelt query parameters.

A filter that is ignored because of a typo would show, or change, jobs that the caller did not
select.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AwareDatetime

from gateway.errors import ParameterInvalid
from playground.errors import Fault
from storage.db.keyset import Cursor

__all__ = ["Since", "is_asked", "known_parameters_once", "next_link", "next_path", "read_cursor"]

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)


def _plausible(moment: datetime) -> datetime:
    """Refuse moments so far away that converting them to another time zone may overflow."""
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("between the years 1970 and 9000")
    return moment


Since = Annotated[AwareDatetime, AfterValidator(_plausible)]


def is_asked(value: str | None) -> bool:
    """Return whether a parameter that is a flag is set: `?download`, but not `?download=false`."""
    return value is not None and value.lower() not in {"0", "false", "no"}


def next_path(path: str, parameters: Mapping[str, object], cursor: Cursor) -> str:
    """Return the path and query of the page that follows.

    Args:
        path: that of the list.
        parameters: those of this page; None is left out.
        cursor: the position of the last entry of this page.
    """
    given = {name: _text(value) for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode({**given, 'cursor': _write_cursor(cursor)})}"


def next_link(path: str) -> dict[str, str]:
    """Return the header that names the page that follows (RFC 8288)."""
    return {"Link": f'<{path}>; rel="next"'}


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _write_cursor(cursor: Cursor) -> str:
    text = f"{cursor.accepted_at.astimezone(UTC).isoformat()}|{cursor.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Read the cursor of a page's `next`.

    Raises:
        ParameterInvalid: it is something else.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        moment, _, job_id = base64.b64decode(padded, b"-_", validate=True).decode().partition("|")
        return Cursor(_plausible(datetime.fromisoformat(moment)), UUID(job_id))
    except (ValueError, TypeError, binascii.Error):
        rule = "the cursor of a page's `next`, unchanged"
        raise ParameterInvalid([Fault("cursor", repr(text)[:80], rule)]) from None


async def known_parameters_once(request: Request) -> None:
    """A dependency: require that every query parameter is one of the route's, and is not repeated.

    The parameters of a batch's lines, `set`, may be repeated.

    Raises:
        ParameterInvalid: a parameter is unknown or repeated.
    """
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101 - FastAPI has no other with dependencies
    known = {field.alias for field in route.dependant.query_params}
    names = [name for name, _ in request.query_params.multi_items()]
    rule = f"left out: the parameters are {', '.join(sorted(known)) or 'none'}"
    faults = [Fault(name[:80], "(not shown)", rule) for name in names if name not in known]
    twice = {name for name in {*names} & known - {"set"} if names.count(name) > 1}
    faults += [Fault(name, "(several)", "given once") for name in sorted(twice)]
    if faults:
        raise ParameterInvalid(faults)

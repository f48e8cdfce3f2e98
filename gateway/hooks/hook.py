"""Define one hook: whose deliveries it accepts, and which request it makes of a delivery.

The idempotency key is derived only from what the signature covers. So a recorded delivery cannot
become a second job by changing a header. The key is the value at the file's `key`, or else the id
that the scheme signs, or else the SHA-256 of the body. A signed time is not part of it, because a
sender's retry and a replay carry the same event.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.hooks.errors import PayloadUnfit
from gateway.hooks.filter import Condition, all_hold
from gateway.hooks.mapping import Template, fill_all
from gateway.hooks.signatures import Signature, VerifiedSignature
from playground.errors import Fault

__all__ = ["Hook", "JobSubmission"]

#: A sender's id is used unchanged up to this length. A job's key holds 255 characters, including
#: the hook's name.
MAX_ID_CHARS: Final = 150


@dataclass(frozen=True, slots=True)
class JobSubmission:
    """A submission made from a delivery: the request and the job's options."""

    request: dict[str, Any]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hook:
    """What the file says about one hook.

    Attributes:
        name: the last part of its address.
        scheme: how its sender signs, as named in the file.
        signature: that scheme with its secrets.
        owner: the owner of its jobs.
        conditions: which deliveries become jobs.
        request: the request's fields, as templates.
        job: the job's other fields, as templates.
        key: what two deliveries of one event have in common, as a template; None for the default.
    """

    name: str
    scheme: str
    signature: Signature
    owner: str
    conditions: tuple[Condition, ...]
    request: Mapping[str, Template]
    job: Mapping[str, Template]
    key: Template = None

    def wants(self, payload: Any) -> bool:
        """Return whether a payload becomes a job."""
        return all_hold(self.conditions, payload)

    def submission_of(
        self, payload: Any, body: bytes, verified: VerifiedSignature
    ) -> JobSubmission:
        """Make a submission from a payload.

        Args:
            payload: the body, parsed.
            body: the same as received.
            verified: what its signature verifies.

        Raises:
            PayloadUnfit: values are missing; all of them are reported.
        """
        filled = fill_all({"key": self.key, "request": self.request, "job": self.job}, payload)
        event = verified.delivery_id or hashlib.sha256(body).hexdigest()
        if self.key is not None:
            event = _event(filled["key"])
        key = f"hook:{self.name}:{_short(event)}"
        options = {"owner": self.owner, "idempotency_key": key}
        return JobSubmission(filled["request"], _without_nulls(filled["job"]) | options)


def _event(found: Any) -> str:
    """Check the id found at the file's `key` and return it as text."""
    if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
        raise PayloadUnfit([Fault("key", "(not shown)", "a text or a whole number, to be an id")])
    return str(found)


def _short(event: str) -> str:
    """Return an id unchanged if it fits into a key, else its SHA-256."""
    if len(event) <= MAX_ID_CHARS and event.isascii() and event.isprintable():
        return event
    return hashlib.sha256(event.encode("utf-8", "backslashreplace")).hexdigest()


def _without_nulls(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out options that are null: null means "not set" in a request."""
    return {name: value for name, value in options.items() if value is not None}

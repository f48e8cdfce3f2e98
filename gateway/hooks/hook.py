"""One hook, ready for use: who may call it, and what it makes of a delivery.

The idempotency key is made of nothing but what the signature covers, so that nobody who recorded a
delivery can turn it into a second job by changing a header: what the file's `key` finds in the
body, or the id that the scheme signs, or else the SHA-256 of the body. A signed time is left out
of it: a sender's next try, and a replay, carry the same event.
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

__all__ = ["Asked", "Hook"]

#: An id of a sender is used as it is up to here; a job's key has room for 255 characters, the
#: hook's name among them.
MAX_ID_CHARS: Final = 150


@dataclass(frozen=True, slots=True)
class Asked:
    """What a delivery asks for: what any producer hands in."""

    request: dict[str, Any]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hook:
    """What the file says of one hook.

    Attributes:
        name: the last part of its address.
        scheme: how its sender signs, as the file calls it.
        signature: that scheme with its secrets.
        owner: whose jobs they become.
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
        """Whether a payload is one that becomes a job."""
        return all_hold(self.conditions, payload)

    def ask(self, payload: Any, body: bytes, genuine: VerifiedSignature) -> Asked:
        """Turn a payload into what is handed in.

        Args:
            payload: the body, parsed.
            body: the same as it came in.
            genuine: what its signature vouches for.

        Raises:
            PayloadUnfit: it lacks something; all that it lacks is told.
        """
        filled = fill_all({"key": self.key, "request": self.request, "job": self.job}, payload)
        event = genuine.delivery_id or hashlib.sha256(body).hexdigest()
        if self.key is not None:
            event = _event(filled["key"])
        key = f"hook:{self.name}:{_short(event)}"
        options = {"owner": self.owner, "idempotency_key": key}
        return Asked(filled["request"], _without_nulls(filled["job"]) | options)


def _event(found: Any) -> str:
    """The id that the file's `key` found."""
    if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
        raise PayloadUnfit([Fault("key", "(not shown)", "a text or a whole number, to be an id")])
    return str(found)


def _short(event: str) -> str:
    """An id as it is, if it can stand in a key; else its SHA-256."""
    if len(event) <= MAX_ID_CHARS and event.isascii() and event.isprintable():
        return event
    return hashlib.sha256(event.encode("utf-8", "backslashreplace")).hexdigest()


def _without_nulls(options: Mapping[str, Any]) -> dict[str, Any]:
    """Null is "not set" in a request; options that are not set are left out."""
    return {name: value for name, value in options.items() if value is not None}

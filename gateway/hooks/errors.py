"""Define the errors of the file of hooks and of incoming deliveries.

HooksFileFaulty          an invalid file of hooks, reported when the gateway starts
TemplateFaulty           one invalid value of it, raised while the file is checked
GatewayError (gateway/errors.py)
├── ParameterInvalid
│   └── PayloadUnfit     422  a verified delivery from which the hook cannot make a request
└── SignatureInvalid     401  no such hook, or an invalid signature: both get the same response

Senders retry after every response but a 2xx, most of them for days. A payload that does not fit its
hook gets 422 all the same. The sender's list of deliveries then shows it, and once the mapping is
corrected the next attempt is accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import GatewayError, ParameterInvalid

__all__ = ["HookFault", "HooksFileFaulty", "PayloadUnfit", "SignatureInvalid", "TemplateFaulty"]


@dataclass(frozen=True, slots=True)
class HookFault:
    """One fault of a file of hooks.

    Attributes:
        hook: the name of the hook; empty if the fault is in the file itself.
        field: the field of the hook; empty if the fault is in all of it.
        rule: what it must be. Never the value: that may be a secret.
    """

    hook: str
    field: str
    rule: str

    def __str__(self) -> str:
        """Return one line of text."""
        where = [f"hook {self.hook}"] if self.hook else []
        return ": ".join([*where, *([self.field] if self.field else []), self.rule])


class HooksFileFaulty(Exception):
    """A file of hooks breaks rules; all its faults are reported together.

    Attributes:
        faults: all of them, in the order of the file.
    """

    def __init__(self, faults: Iterable[HookFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class TemplateFaulty(ValueError):
    """A text has invalid placeholders; the message completes "must be …"."""


class PayloadUnfit(ParameterInvalid):
    """The delivery is verified, but lacks values that the hook's mapping needs."""

    status, slug, title = 422, "payload-unfit", "The hook can make no request of this payload"


class SignatureInvalid(GatewayError):
    """No such hook, or a missing, wrong or too old signature; the response does not say which."""

    status, slug, title = 401, "not-genuine", "No hook takes this delivery"

    def __init__(self) -> None:
        super().__init__("there is no such hook, or the delivery is not signed as the hook asks")
        self.headers["WWW-Authenticate"] = "Signature"

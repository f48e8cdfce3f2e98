"""What can be wrong with a hook, and with what comes to it.

HooksFileFaulty          the file of hooks, told to whoever starts the gateway
TemplateFaulty           one value of it, for the file's own check
GatewayError (gateway/errors.py)
├── ParameterInvalid
│   └── PayloadUnfit     422  a genuine delivery of which the hook can make no request
└── NotGenuine           401  no such hook, or not from its sender: the two look alike

Senders take every answer but a 2xx as "try again", most of them for days. A payload that does
not fit its hook is answered with 422 all the same: the sender's list of deliveries shows it, and
once the mapping is corrected the next try goes in by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import GatewayError, ParameterInvalid

__all__ = ["HookFault", "HooksFileFaulty", "PayloadUnfit", "SignatureInvalid", "TemplateFaulty"]


@dataclass(frozen=True, slots=True)
class HookFault:
    """One thing that is wrong with a file of hooks.

    Attributes:
        hook: the name of the hook; empty where it is the file itself.
        field: where in the hook; empty where it is all of it.
        rule: what it must be. Never what it is: that may be a secret.
    """

    hook: str
    field: str
    rule: str

    def __str__(self) -> str:
        """One line of text."""
        where = [f"hook {self.hook}"] if self.hook else []
        return ": ".join([*where, *([self.field] if self.field else []), self.rule])


class HooksFileFaulty(Exception):
    """A file of hooks breaks rules; all its faults are told at once.

    Attributes:
        faults: every one, in the order of the file.
    """

    def __init__(self, faults: Iterable[HookFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class TemplateFaulty(ValueError):
    """A text with placeholders that nobody can make sense of; the message completes "must be …"."""


class PayloadUnfit(ParameterInvalid):
    """The delivery is genuine, and lacks what the hook's mapping needs of it."""

    status, slug, title = 422, "payload-unfit", "The hook can make no request of this payload"


class SignatureInvalid(GatewayError):
    """No such hook, or a signature that is missing, wrong or too old: which of them is not said."""

    status, slug, title = 401, "not-genuine", "No hook takes this delivery"

    def __init__(self) -> None:
        super().__init__("there is no such hook, or the delivery is not signed as the hook asks")
        self.headers["WWW-Authenticate"] = "Signature"

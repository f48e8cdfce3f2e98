"""Outgoing webhooks, the sending half: who may be called, how it is signed, sent and tried again.

Knows nothing of jobs, tables or threads: a message, its address and its secrets go in, and what
became of the attempt and what should follow come out.
"""

from tasks.webhooks.addresses import AddressGuard, AllowList, Target
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.receiver import USUAL_PORTS, Receiver, UrlRules, receiver_of
from tasks.webhooks.schedule import (
    DELAYS_S,
    JITTER,
    Delivered,
    Disabled,
    GivenUp,
    NextStep,
    TryAgain,
    next_step,
)
from tasks.webhooks.sender import Sender
from tasks.webhooks.signature import new_secret, signed_headers

__all__ = [
    "DELAYS_S",
    "JITTER",
    "USUAL_PORTS",
    "AddressGuard",
    "AllowList",
    "Delivered",
    "Disabled",
    "Failure",
    "GivenUp",
    "NextStep",
    "Outcome",
    "Receiver",
    "Sender",
    "Target",
    "TryAgain",
    "UrlRules",
    "new_secret",
    "next_step",
    "receiver_of",
    "signed_headers",
]

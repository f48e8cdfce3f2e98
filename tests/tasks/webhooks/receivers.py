"""What the tests of the sender share: a sender that may call this machine, and one attempt."""

import json
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from tasks.webhooks.addresses.address_guard import AddressGuard, AllowList
from tasks.webhooks.outcome import Outcome
from tasks.webhooks.sending.kept_connections import KeptConnections
from tasks.webhooks.sending.sender import Sender
from tasks.webhooks.sending.signature import new_secret

LOOPBACK: Final = AllowList((ip_network("127.0.0.1/32"), ip_network("::1/128")))
SECRET: Final = new_secret()
BODY: Final = json.dumps({"type": "job.ended", "data": {"id": "1"}}).encode()


def at(*answers: Sequence[str]) -> AddressGuard:
    """Make a guard that allows this machine, and whose names lead to each answer in turn."""
    left = list(answers)
    return AddressGuard(
        allowed=LOOPBACK, resolver=lambda _: left.pop(0) if len(left) > 1 else left[0]
    )


def sender(
    guard: AddressGuard | None = None,
    *,
    total_s: float = 30.0,
    ca_bundle: Path | None = None,
    connections: KeptConnections | None = None,
) -> Sender:
    """Make a sender."""
    return Sender(
        guard or AddressGuard(allowed=LOOPBACK),
        total_timeout_s=total_s,
        ca_bundle=None if ca_bundle is None else str(ca_bundle),
        connections=connections,
    )


def send(url: str, by: Sender | None = None) -> Outcome:
    """Make one attempt."""
    by = by or sender()
    return by.send(url, message_id="msg_1", body=BODY, signing_secrets=[SECRET])

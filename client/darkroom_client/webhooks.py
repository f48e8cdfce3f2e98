"""Verify that a webhook comes from the gateway, by Standard Webhooks 1.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: the
signature covers `{id}.{timestamp}.{body}` with HMAC-SHA256. The header lists signatures, so that a
secret can be changed without a gap. A delivery keeps its id over all retries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Union

from darkroom_client.errors import WebhookInvalid, WebhookStale

__all__ = ["Webhook", "verify"]

#: The specification leaves the number open; five minutes is what its libraries use.
TOLERANCE_S = 300
_PREFIX = "whsec_"
_SECONDS = re.compile(r"[0-9]{1,12}")
#: A rotation needs two; a header can hold thousands, and each costs a comparison.
_MOST_SIGNATURES = 32

Secrets = Union[str, Sequence[str]]


@dataclass(frozen=True)
class Webhook:
    """A delivery verified to be the gateway's.

    Attributes:
        id: the same over all retries of a delivery: store it to handle each only once.
        sent_at: when this attempt was signed.
        payload: its content.
    """

    id: str
    sent_at: datetime
    payload: Mapping[str, Any]


def verify(
    headers: Mapping[str, str],
    body: bytes | str,
    secret: Secrets,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> Webhook:
    """Verify a delivery, and parse it.

    Args:
        headers: of the request; names in any case.
        body: the request's body exactly as received, before anything parsed it.
        secret: the callback secret, `whsec_` and base64; or several, while one replaces another.
        now: seconds since 1970, to check against; by default this machine's clock.
        tolerance_s: how old, or how far in the future, the signed time may be.

    Returns:
        The delivery.

    Raises:
        WebhookStale: it is signed, but too old or from the future.
        WebhookInvalid: it is not signed with any of the secrets, or is not a JSON object.
        ValueError: a secret is invalid.
    """
    keys = [key_of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not keys:
        raise ValueError("there is no callback secret to check against")
    content = body.encode("utf-8") if isinstance(body, str) else body
    webhook_id, timestamp, signatures = _signed(headers)
    expected = [signature(key, webhook_id, timestamp, content) for key in keys]
    if not any(_equal(one, given) for given in signatures for one in expected):
        raise WebhookInvalid("no signature is valid")
    age_s = (time.time() if now is None else now) - int(timestamp)
    if abs(age_s) > tolerance_s:
        what = "old" if age_s > 0 else "in the future"
        raise WebhookStale(f"signed, but {abs(age_s):.0f} seconds {what}")
    moment = datetime.fromtimestamp(int(timestamp), timezone.utc)
    return Webhook(webhook_id, moment, _payload(content))


def signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> bytes:
    """Return the specification's HMAC over id, timestamp and body."""
    content = b".".join([webhook_id.encode("utf-8"), timestamp.encode("ascii"), body])
    return hmac.new(key, content, hashlib.sha256).digest()


def key_of(secret: str) -> bytes:
    """Return the bytes that sign, from a secret in its text form; ValueError if it is invalid."""
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a callback secret is `whsec_` and base64")
    return key


def _signed(headers: Mapping[str, str]) -> tuple[str, str, Iterator[bytes]]:
    """Return id, timestamp and signatures, or raise an error if any is missing."""
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id = found.get("webhook-id", "")
    timestamp = found.get("webhook-timestamp", "")
    if not webhook_id or not _SECONDS.fullmatch(timestamp):
        raise WebhookInvalid("it lacks the headers of a webhook")
    return webhook_id, timestamp, _signatures(found.get("webhook-signature", ""))


def _signatures(header: str) -> Iterator[bytes]:
    for each in header.split(" ")[:_MOST_SIGNATURES]:
        version, _, text = each.partition(",")
        if version == "v1":
            try:
                yield base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                continue


def _equal(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


def _payload(content: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise WebhookInvalid("signed, but no JSON object")
    return payload

"""Sign webhooks as the gateway does, to test a receiver."""

from __future__ import annotations

import base64
import time
import uuid

from darkroom_client.webhooks import key_of, signature


def sign(
    body: bytes, secret: str, *, webhook_id: str | None = None, now: float | None = None
) -> dict[str, str]:
    """Return the headers of a delivery that `webhooks.verify` accepts.

    Args:
        body: the delivery's body, byte for byte.
        secret: the callback secret, `whsec_` and base64.
        webhook_id: the delivery's id; a fresh one by default.
        now: seconds since 1970 that are signed; by default this machine's clock.

    Returns:
        `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    """
    delivery = webhook_id or f"msg_{uuid.uuid4().hex}"
    timestamp = str(int(time.time() if now is None else now))
    digest = signature(key_of(secret), delivery, timestamp, body)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode('ascii')}",
    }

"""Sign outgoing webhooks, as specified by Standard Webhooks 1.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md is the
source of every format and number here. While an owner changes a secret, a message has one signature
per secret, so that receivers can switch at any time. The secrets are stored in
`storage.webhooks.secrets`, and chosen in `webhooks/attempt.py`.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

from tasks.errors import SecretUnusable

_PREFIX: Final = "whsec_"
_MIN_KEY_BYTES: Final = 24
_MAX_KEY_BYTES: Final = 64
_NEW_KEY_BYTES: Final = 32
# If an id contained a full stop, a part of the body could be read as a part of the id.
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def new_secret() -> str:
    """Return a new signing secret in the specified format: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_KEY_BYTES)).decode()


def signed_headers(
    signing_secrets: Sequence[str], *, message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """Return the headers by which a receiver verifies the sender of a message.

    Args:
        signing_secrets: one or more; the receiver needs any one of them.
        message_id: the same in every attempt at one message; letters, digits, `_` and `-`.
        timestamp_s: the time of this attempt, in seconds since 1970.
        body: exactly the bytes that are sent.

    Returns:
        `webhook-id`, `webhook-timestamp` and `webhook-signature`.

    Raises:
        SecretUnusable: one of the secrets is not `whsec_` and 24 to 64 bytes in base64.
        ValueError: there is no secret, or the id contains other characters.
    """
    if not signing_secrets:
        raise ValueError("a webhook is signed with at least one secret")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a webhook's id has 1 to 128 letters, digits, '_' or '-'")
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in signing_secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    digest = hmac.digest(_key(secret), signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    # Padding is often lost when secrets are copied; receivers' libraries restore it as well.
    text = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:  # binascii.Error is one
        key = b""
    if not secret.startswith(_PREFIX) or not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
        sizes = f"{_MIN_KEY_BYTES} to {_MAX_KEY_BYTES}"
        raise SecretUnusable(f"a signing secret is '{_PREFIX}' and {sizes} bytes in base64")
    return key

"""Read a hook's secrets from where the file places them.

`env:NAME` and `file:/path` keep secrets out of the file of hooks, so that the file can be kept with
the code. The caller passes the environment in.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["SecretFaulty", "decoded", "found_at"]

#: Chosen for Darkroom: a hook is reachable by anyone, and a shorter secret can be guessed. Standard
#: Webhooks requires 24 bytes; other senders let users choose.
MIN_SECRET_BYTES: Final = 16


class SecretFaulty(ValueError):
    """A secret is unusable; the message completes "must be …" and never contains the secret."""


def found_at(place: str, environment: Mapping[str, str], folder: Path) -> str:
    """Return the secret itself.

    Args:
        place: `env:NAME`, `file:/path` (or relative to `folder`), or the secret.
        environment: variables by name.
        folder: of the file of hooks.

    Raises:
        SecretFaulty: the secret is missing.
    """
    kind, _, rest = place.partition(":")
    if kind == "env":
        if not environment.get(rest):
            raise SecretFaulty(f"in the environment, which has no {rest}")
        return environment[rest]
    if kind != "file":
        return place
    try:
        return (folder / rest).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SecretFaulty(f"in a file that can be read ({rest}: {reason})") from None


def decoded(secret: str, *, as_base64: bool) -> bytes:
    """Return the bytes that are used as the key.

    Args:
        secret: as the sender shows it.
        as_base64: whether it is base64 behind `whsec_`, as in Standard Webhooks.

    Raises:
        SecretFaulty: it is invalid base64, or too short.
    """
    key = _from_base64(secret) if as_base64 else secret.encode("utf-8", "surrogateescape")
    if len(key) < MIN_SECRET_BYTES:
        raise SecretFaulty(f"at least {MIN_SECRET_BYTES} bytes long")
    return key


def _from_base64(secret: str) -> bytes:
    text = secret.removeprefix("whsec_")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretFaulty("base64, behind `whsec_`") from None

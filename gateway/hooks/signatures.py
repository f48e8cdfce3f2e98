"""Verify a delivery's signature, in the schemes that senders use for their webhooks.

These are pure functions of the headers and of the body's bytes as received: a body that was parsed
and written again has another signature. Each scheme takes one or two secrets, so that a new one can
be given to the sender before the old one is withdrawn. What is wrong with a signature is not
reported to the sender, so a stranger learns nothing by trying.

The duration of a check reveals little as well. The bytes are hashed before a header is read, and as
often with one secret, or a token only, as with two.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

__all__ = [
    "MOST_SECRETS",
    "TOLERANCE_S",
    "BearerToken",
    "BodyHmac",
    "Headers",
    "Signature",
    "StandardWebhooks",
    "TimestampedHmac",
    "VerifiedSignature",
]

#: How far a signed time may differ from the gateway's clock, in either direction: Standard
#: Webhooks' reference libraries and Stripe's both allow five minutes.
TOLERANCE_S: Final = 300

#: The new secret and the previous one.
MOST_SECRETS: Final = 2

#: Seconds since 1970 as a sender writes them; its signature covers these very characters.
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)

Headers = Mapping[str, str]
"""Header values by their names in lower case."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """What a valid signature verifies besides the body.

    Attributes:
        delivery_id: the sender's id of the event, if the scheme signs one.
    """

    delivery_id: str | None = None


class Signature(Protocol):
    """A scheme with its secrets."""

    def check(self, headers: Headers, body: bytes, *, now_s: float) -> VerifiedSignature | None:
        """Return what the signature verifies; None if it is missing, wrong or too old."""


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """Standard Webhooks 1.0, symmetric (`v1`): id, time and body are signed.

    Senders older than the standard name the same three headers `svix-…`.

    Args:
        keys: the secrets, decoded from their `whsec_…` form.
    """

    keys: tuple[bytes, ...] = field(repr=False)

    def check(self, headers: Headers, body: bytes, *, now_s: float) -> VerifiedSignature | None:
        """As `Signature.check`; the header may hold one signature for each of two secrets."""
        family = "svix" if "svix-signature" in headers else "webhook"
        delivery_id = headers.get(f"{family}-id", "")
        time_text = headers.get(f"{family}-timestamp", "")
        signed = _header_bytes(f"{delivery_id}.{time_text}.") + body
        wanted = _digests(self.keys, signed)
        pairs = [pair.partition(",") for pair in headers.get(f"{family}-signature", "").split()]
        given = [_from_base64(text) for version, _, text in pairs if version == "v1"]
        is_good = _any_same(wanted, given) and _is_fresh(time_text, now_s)
        return VerifiedSignature(delivery_id) if is_good and delivery_id else None


@dataclass(frozen=True, slots=True)
class TimestampedHmac:
    """Stripe's form, also used by others: `t=…,v1=…` in one header, over time and body.

    Args:
        keys: the secrets as the sender shows them.
        header: its name in lower case.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    header: str = "stripe-signature"

    def check(self, headers: Headers, body: bytes, *, now_s: float) -> VerifiedSignature | None:
        """As `Signature.check`; the header has a `v1` for each secret the sender has."""
        parts = [part.strip().partition("=") for part in headers.get(self.header, "").split(",")]
        times = [text for name, _, text in parts if name == "t"]
        time_text = times[0] if times else ""
        wanted = _digests(self.keys, _header_bytes(f"{time_text}.") + body)
        given = [_from_hex(text) for name, _, text in parts if name == "v1"]
        is_good = _any_same(wanted, given) and len(times) == 1 and _is_fresh(time_text, now_s)
        return VerifiedSignature() if is_good else None


@dataclass(frozen=True, slots=True)
class BodyHmac:
    """An HMAC of the body alone in a header: GitHub, Shopify and most others.

    No time is signed, so a recorded delivery stays valid indefinitely. The idempotency key, made
    from the same bytes, prevents a replay from becoming a second job.

    Args:
        keys: the secrets as the sender shows them.
        header: its name in lower case.
        encoding: how the header writes the digest.
        prefix: the text before the digest.
        digest: the hash.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    header: str
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    digest: Literal["sha256", "sha512"] = "sha256"

    def check(self, headers: Headers, body: bytes, *, now_s: float) -> VerifiedSignature | None:
        """As `Signature.check`."""
        del now_s  # no time is signed
        wanted = _digests(self.keys, body, self.digest)
        value = headers.get(self.header, "").strip()
        text = value.removeprefix(self.prefix) if value.startswith(self.prefix) else ""
        given = _from_hex(text) if self.encoding == "hex" else _from_base64(text)
        return VerifiedSignature() if _any_same(wanted, [given]) else None


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token that the sender repeats with every delivery; it signs nothing.

    Args:
        keys: the tokens.
        header: its name in lower case; in `authorization` the token follows `Bearer`.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    header: str = "authorization"

    def check(self, headers: Headers, body: bytes, *, now_s: float) -> VerifiedSignature | None:
        """As `Signature.check`."""
        del now_s
        _digests((), body)  # a token does not sign the body; this only takes the same time
        value = headers.get(self.header, "").strip()
        if self.header == "authorization":
            scheme, _, value = value.partition(" ")
            value = value.strip() if scheme.lower() == "bearer" else ""
        # Hashed, because comparing unequal lengths would reveal the token's length.
        wanted = [hashlib.sha256(key).digest() for key in self.keys]
        given = hashlib.sha256(_header_bytes(value)).digest()
        return VerifiedSignature() if _any_same(wanted, [given]) else None


def _digests(keys: Sequence[bytes], signed: bytes, digest: str = "sha256") -> list[bytes]:
    """Return the digests under these keys, in the time that the maximum number of keys takes."""
    padded = [*keys, *[b""] * (MOST_SECRETS - len(keys))]
    return [hmac.digest(key, signed, digest) for key in padded][: len(keys)]


def _any_same(wanted: Sequence[bytes], given: Sequence[bytes | None]) -> bool:
    """Return whether a wanted value equals a given one, in a time that does not reveal which."""
    found = [hmac.compare_digest(one, other or b"") for one in wanted for other in given]
    return any(found)


def _is_fresh(time_text: str, now_s: float) -> bool:
    return bool(_SECONDS.fullmatch(time_text)) and abs(now_s - int(time_text)) <= TOLERANCE_S


def _header_bytes(text: str) -> bytes:
    """Return a header's text as the bytes received.

    HTTP's headers are Latin-1; other characters match nothing.
    """
    return text.encode("latin-1", "replace")


def _from_hex(text: str) -> bytes | None:
    return _decoded(binascii.unhexlify, text)


def _from_base64(text: str) -> bytes | None:
    return _decoded(lambda given: base64.b64decode(given, validate=True), text)


def _decoded(decode: Callable[[str], bytes], text: str) -> bytes | None:
    try:
        return decode(text)
    except ValueError:  # includes binascii.Error
        return None

"""Compare the SHA-256 of what boto3 is about to send with that in the job's row.

With `payload_signing_enabled` botocore computes the SHA-256 of the body itself and signs that. It
replaces a header set by the caller. So bytes that changed in this process's memory would be stored
under their own, valid signature. The digest that botocore computed is compared here, so that
nothing is hashed twice.
"""

from __future__ import annotations

import threading
from typing import Any

from storage.errors import ObjectDigestMismatch

__all__ = ["SentDigest"]

_HEADER = "X-Amz-Content-SHA256"
_HEX_CHARS = 64


class SentDigest:
    """The digest that the calling thread's next put must have. Safe to share between threads."""

    def __init__(self) -> None:
        self._expected = threading.local()

    def watch(self, client: Any) -> None:
        """Compare the digest of every put of this boto3 S3 client."""
        client.meta.events.register("before-send.s3.PutObject", self.compare)

    def expect(self, sha256: str | None) -> None:
        """Set the digest of this thread's next puts, in hex; None compares nothing."""
        self._expected.sha256 = sha256

    def compare(self, request: Any, **_: Any) -> None:
        """Refuse a request that is signed with another digest; botocore calls this handler.

        Over TLS, with `when_supported` checksums, botocore signs no digest but sends a CRC-32 after
        the body. Then there is nothing to compare.

        Raises:
            ObjectDigestMismatch: The bytes in memory are not those that were hashed for the row.
        """
        expected = getattr(self._expected, "sha256", None)
        signed = request.headers.get(_HEADER, "")
        signed = signed.decode() if isinstance(signed, bytes) else signed
        if expected is not None and len(signed) == _HEX_CHARS and signed != expected:
            raise ObjectDigestMismatch("the bytes to be stored changed in memory; nothing was sent")

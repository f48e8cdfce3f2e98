"""Sign a plain put with AWS Signature Version 4.

botocore signs any request, and looks for what to sign each time. A put of Darkroom's has the same
few headers every time, and a body whose SHA-256 is already in the row. So its signature costs two
digests. A store that checks the signed SHA-256 refuses a body that changed on the way. The rules
are AWS's: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.

It is part of the signed put: gain, measurement and fallback are in `fast_put.py`.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

__all__ = ["signed_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_SERVICE = "s3"
_SCOPE_END = "aws4_request"


def signed_headers(
    *,
    host: str,
    path: str,
    content_type: str,
    region: str,
    credentials: Any,
    at: datetime,
    payload_sha256: str | None = None,
) -> dict[str, str]:
    """Return the headers of a put, including its signature.

    Args:
        host: As in the `Host` header: with its port unless it is the scheme's default.
        path: As it is sent, percent-encoded.
        content_type: Of the object.
        region: The bucket's.
        credentials: With `access_key`, `secret_key` and `token` (None unless they are temporary).
        at: Now, in UTC: S3 refuses a signature that is more than a quarter of an hour off.
        payload_sha256: Of the body, in hex; None leaves the body unsigned.
    """
    payload = payload_sha256 or _UNSIGNED
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    signed = {"content-type": content_type, "host": host, "x-amz-content-sha256": payload}
    signed["x-amz-date"] = moment
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    request = f"PUT\n{path}\n\n{lines}\n{names}\n{payload}"
    scope = f"{moment[:8]}/{region}/{_SERVICE}/{_SCOPE_END}"
    string_to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = _key_of_the_day(credentials.secret_key, moment[:8], region)
    signature = hmac.digest(key, string_to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=2)  # yesterday's and today's
def _key_of_the_day(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for word in (day, region, _SERVICE, _SCOPE_END):
        key = hmac.digest(key, word.encode(), "sha256")
    return key

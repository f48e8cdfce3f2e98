"""Sign a plain put, or a link to an object, with AWS Signature Version 4.

botocore signs any request, and looks for what to sign each time. A put of Darkroom's has the same
few headers every time, and a body whose SHA-256 is already in the row. So its signature costs two
digests. A store that checks the signed SHA-256 refuses a body that changed on the way. The rules
are AWS's: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.

It is part of the signed put and of signed links: gains and fallbacks are in `fast_put.py` and
`signed_links.py`.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote

__all__ = ["PLAIN_BUCKET", "PLAIN_KEY", "signed_headers", "signed_query"]

# Keys that need no escaping in a URL, and buckets that are neither ARNs nor S3 Express.
PLAIN_KEY = re.compile(r"(?!/)(?:[A-Za-z0-9_~-]|/(?!/)|\.(?!\.))+")
PLAIN_BUCKET = re.compile(r"(?!.*--x-s3$)[a-z0-9.-]+")

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
    scope = _scope(moment, region)
    signature = _signature(request, moment, region, credentials.secret_key)
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return signed


def signed_query(
    *, host: str, path: str, region: str, credentials: Any, at: datetime, expires_s: int
) -> str:
    """Return the query that lets anyone get an object until it expires.

    Args:
        host: As in the `Host` header: with its port unless it is the scheme's default.
        path: As it is sent, percent-encoded.
        region: The bucket's.
        credentials: With `access_key`, `secret_key` and `token` (None unless they are temporary).
        at: Now, in UTC.
        expires_s: For how long the link works.
    """
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    holder = quote(f"{credentials.access_key}/{_scope(moment, region)}", safe="")
    start = f"X-Amz-Algorithm={_ALGORITHM}&X-Amz-Credential={holder}&X-Amz-Date={moment}"
    start = f"{start}&X-Amz-Expires={expires_s}"
    token, names = "", "&X-Amz-SignedHeaders=host"
    if credentials.token:
        token = f"&X-Amz-Security-Token={quote(credentials.token, safe='')}"
    # Sorted by name for the signature, in botocore's order in the link.
    request = f"GET\n{path}\n{start}{token}{names}\nhost:{host}\n\nhost\n{_UNSIGNED}"
    signature = _signature(request, moment, region, credentials.secret_key)
    return f"{start}{names}{token}&X-Amz-Signature={signature}"


def _scope(moment: str, region: str) -> str:
    return f"{moment[:8]}/{region}/{_SERVICE}/{_SCOPE_END}"


def _signature(request: str, moment: str, region: str, secret_key: str) -> str:
    digest = sha256(request.encode()).hexdigest()
    string_to_sign = f"{_ALGORITHM}\n{moment}\n{_scope(moment, region)}\n{digest}"
    key = _key_of_the_day(secret_key, moment[:8], region)
    return hmac.digest(key, string_to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=2)  # yesterday's and today's
def _key_of_the_day(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for word in (day, region, _SERVICE, _SCOPE_END):
        key = hmac.digest(key, word.encode(), "sha256")
    return key

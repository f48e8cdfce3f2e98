"""Put an object with a request signed here, over the client's own connections.

`put_object` spends more than twice as much on an image as signing and sending it. It validates,
builds and resolves the same request each time, and passes the body on in small pieces. Only the
plain put, which Darkroom makes thousands of times an hour, uses this path, and only once. It uses
the client's connections (proxy, private authorities, timeouts) and credentials (rotating ones too).
`sigv4.py` computes the signature.

Gain: in an earlier run, a worker with `put_object` alone used 1.29 times the CPU per image.
`python -m benchmarks --only paths` measures it again; docs/performance.md has the conditions.

Fallback: `put_object`, called by `ObjectStore.put`. It makes every put with extra arguments or
other checksums, without credentials, to an unusual bucket or key, or to a bucket at another
address. Any result other than a stored object is left to it too: it tries again and reports the
error.

The private attributes of botocore in use are in `storage/private_attributes.py`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from http1 import exchange, host_header
from storage.buffers import Pieces, size_of
from storage.objects import botocore_garbage
from storage.objects.sigv4 import PLAIN_BUCKET, PLAIN_KEY, signed_headers

log = logging.getLogger(__name__)

_PLAIN_HEADERS = {"user-agent": "darkroom-queue", "accept-encoding": "identity"}
_STORED = 200

_ONCE = Retry(total=False)

# Another region or host: boto3 follows the redirect, and would have to each time.
_ELSEWHERE = {301, 302, 307, 308}


class SignedPut:
    """Put whole objects into one bucket. Safe to share between threads.

    Args:
        client: boto3's for this bucket, whose connections are used.
        credentials: The client's; None if there are none to sign with.
        bucket: Its name.
    """

    def __init__(self, client: Any, credentials: Any, bucket: str) -> None:
        self._region = client.meta.region_name
        self._credentials = credentials
        folder_url = _folder_url(client, bucket)
        self._folder_path = urlsplit(folder_url).path
        self._host = host_header(folder_url)
        self._connections, self._folder_target = _connections_to(folder_url, client)
        self._is_of_use = credentials is not None and PLAIN_BUCKET.fullmatch(bucket) is not None

    def put(
        self, key: str, pieces: Pieces, content_type: str, payload_sha256: str | None = None
    ) -> bool:
        """Try once; return whether the object is stored. On False it may be stored all the same.

        Args:
            key: Of the object.
            pieces: Its bytes.
            content_type: Of the object.
            payload_sha256: Of its bytes, to be signed; None leaves them unsigned.
        """
        return self.status(key, pieces, content_type, payload_sha256) == _STORED

    def status(
        self, key: str, pieces: Pieces, content_type: str, payload_sha256: str | None
    ) -> int | None:
        """Try once, and return the store's HTTP status; None if there was no answer."""
        if not self._is_of_use or PLAIN_KEY.fullmatch(key) is None:
            return None
        try:
            status = self._send(key, pieces, content_type, payload_sha256)
        except (BotoCoreError, HTTPError, OSError) as error:
            log.debug("a put failed; it was retried by boto3", extra={"error": str(error)})
            botocore_garbage.collect(size_of(pieces))
            return None
        if status in _ELSEWHERE:
            self._is_of_use = False
        return status

    def _send(self, key: str, pieces: Pieces, content_type: str, payload_sha256: str | None) -> int:
        headers = signed_headers(
            host=self._host,
            path=self._folder_path + key,
            content_type=content_type,
            region=self._region,
            credentials=self._credentials.get_frozen_credentials(),
            at=datetime.now(UTC),
            payload_sha256=payload_sha256,
        )
        headers |= _PLAIN_HEADERS
        headers["content-length"] = str(size_of(pieces))
        answer = exchange(
            self._connections,
            "PUT",
            self._folder_target + key,
            headers=headers,
            pieces=pieces,
            timeout=self._connections.timeout,
            retries=_ONCE,
        )
        try:
            answer.read()  # an unread rest would close the connection
        finally:
            answer.close()
            answer.release_conn()
        return int(answer.status)


def _connections_to(url: str, client: Any) -> tuple[Any, str]:
    """Return a boto3 client's own connections to an address, and the request target there.

    Its session resolves them again for each request, by environment, proxy, scheme, host and port.
    For one bucket they are always the same.
    """
    session = client._endpoint.http_session  # noqa: SLF001 - one pool, proxy and CA for both ways
    proxy_url = session._proxy_config.proxy_url_for(url)  # noqa: SLF001
    manager = session._get_connection_manager(url, proxy_url)  # noqa: SLF001
    connections = manager.connection_from_url(url)
    session._setup_ssl_cert(connections, url, session._verify)  # noqa: SLF001
    return connections, session._get_request_target(url, proxy_url)  # noqa: SLF001


def _folder_url(client: Any, bucket: str) -> str:
    """Return the URL before a key, however the bucket is addressed; nothing is sent."""
    example = "x"
    link: str = client.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": example}
    )
    return link.partition("?")[0].removesuffix(example)

"""Put, get, look up, list and delete objects in the bucket, and sign temporary public links.

One client is built at its first use and shared by all threads, as it is costly to create and safe
to share. S3-compatible stores differ most in checksums and addressing, so those are settings. A
second client exists only to sign links on the address that users see. Key names are in
`records/object_keys.py`. Which failures may pass by themselves is decided in `s3_errors.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from threading import Lock
from typing import Any

import boto3

from storage.buffers import Pieces, joined, sha256_of, size_of
from storage.errors import BucketMissing, ObjectMissing, ObjectStoreRefused
from storage.objects.fast_put import SignedPut
from storage.objects.listing import ListedObject, StoredObject, object_pages
from storage.objects.s3_config import StoreSettings, s3_config
from storage.objects.s3_connections import use_final_responses
from storage.objects.s3_errors import check_stored, translated
from storage.objects.sent_digest import SentDigest
from storage.objects.signed_links import SignedLinks

_PIECE_BYTES = 1 << 18
_MAX_LINK_S = 7 * 24 * 3600  # the longest that signature version 4 allows
_HOME_REGION = "us-east-1"  # the one region whose name must not be sent when creating a bucket


class ObjectStore:
    """One bucket of an S3-compatible store.

    Nothing is connected before the first call. Safe to share between threads.

    Args:
        settings: Where the bucket is, and how to speak to its store.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.bucket = settings.bucket
        self.address = settings.endpoint_url or "AWS S3"
        self._settings = settings
        self._endpoint_url = settings.endpoint_url
        self._public_url = settings.public_url or settings.endpoint_url
        self._extra_put_args = dict(settings.extra_put_args or {})
        self._config = s3_config(settings)
        self._clients: dict[str | None, Any] = {}
        self._signed_put: SignedPut | None = None
        self._links: SignedLinks | None = None
        self._sign_payload = settings.sign_payload
        self._sent = SentDigest()
        self._is_plain = not self._extra_put_args and settings.checksums == "when_required"
        self._lock = Lock()

    def put(
        self,
        key: str,
        data: bytes | Pieces,
        content_type: str = "image/png",
        *,
        sha256: str | None = None,
    ) -> None:
        """Store an object, whole or in pieces, replacing what is there.

        Args:
            key: Of the object.
            data: Its bytes.
            content_type: Of the object.
            sha256: Expected SHA-256 of the stored bytes, in hex; None: computed here.

        Raises:
            ObjectDigestMismatch: The store, or this process, has other bytes than those.
            ObjectStoreError: A subclass; after `ObjectStoreUnavailable` the object may be stored.
        """
        pieces = [data] if isinstance(data, bytes) else data
        digest = (sha256 or sha256_of(pieces)) if self._sign_payload else None
        with self._translated(key, size_of(pieces)):
            client = self._client(self._endpoint_url)
            if self._is_plain and self._fast_put(client).put(key, pieces, content_type, digest):
                return
            self._sent.expect(digest)
            answer = client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=joined(pieces),
                ContentType=content_type,
                **self._extra_put_args,
            )
        check_stored(answer, self.address, self.bucket)

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            ObjectMissing: It does not exist.
            ObjectStoreError: Another subclass.
        """
        with self._translated(key):
            answer = self._client(self._endpoint_url).get_object(Bucket=self.bucket, Key=key)
            with answer["Body"] as body:
                data: bytes = body.read()
        return data

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield an object piece by piece, for a caller that need not hold it whole.

        Raises:
            ObjectMissing: It does not exist; raised before the first piece.
            ObjectStoreError: Another subclass; also between two pieces.
        """
        with self._translated(key):
            answer = self._client(self._endpoint_url).get_object(Bucket=self.bucket, Key=key)
        return self._pieces(key, answer["Body"])

    def _pieces(self, key: str, body: Any) -> Iterator[bytes]:
        with self._translated(key), body:
            while piece := body.read(_PIECE_BYTES):
                yield piece

    def head(self, key: str) -> StoredObject | None:
        """Return an object's facts; None if it does not exist.

        Raises:
            ObjectStoreError: It is unknown whether it exists.
        """
        try:
            with self._translated(key):
                client = self._client(self._endpoint_url)
                answer = client.head_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return None
        return StoredObject(key, int(answer["ContentLength"]))

    def exists(self, key: str) -> bool:
        """Return whether there is an object under this key.

        Raises:
            ObjectStoreError: It is unknown whether it exists.
        """
        return self.head(key) is not None

    def pages(self, prefix: str, *, after: str = "") -> Iterator[list[ListedObject]]:
        """List the objects below a prefix in the order of their keys, a page at a time.

        Raises:
            ObjectStoreError: A subclass; also between two pages.
        """
        with self._translated():
            client = self._client(self._endpoint_url)
            yield from object_pages(client, self.bucket, prefix, after)

    def delete(self, key: str) -> None:
        """Delete an object; one that does not exist counts as deleted.

        Raises:
            ObjectStoreError: A subclass.
        """
        try:
            with self._translated(key):
                self._client(self._endpoint_url).delete_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return

    def signed_url(self, key: str, expires_s: int) -> str:
        """Return a link that works without credentials until it expires; no request is sent.

        Args:
            key: Of the object, which is not looked up.
            expires_s: Up to a week, the most that signature version 4 allows.
        """
        for_s = min(int(expires_s), _MAX_LINK_S)
        with self._translated(key):
            link = self._signed_links().link(key, for_s)
            if link is not None:
                return link
            by_boto3: str = self._client(self._public_url).generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=for_s
            )
        return by_boto3

    def put_signed_as(self, key: str, data: bytes, sha256: str) -> int | None:
        """Put once, signed with a SHA-256 that need not be right, and return the HTTP status.

        It is None if there was no answer, or if only boto3 can put to this bucket.
        """
        with self._translated(key):
            fast_put = self._fast_put(self._client(self._endpoint_url))
            return fast_put.status(key, [data], "text/plain", sha256)

    def bucket_exists(self) -> bool:
        """Return whether the bucket exists and is visible.

        Raises:
            ObjectStoreError: It is unknown whether it exists.
        """
        try:
            with self._translated():
                self._client(self._endpoint_url).head_bucket(Bucket=self.bucket)
        except BucketMissing:
            return False
        return True

    def create_bucket(self) -> None:
        """Create the bucket; one that already exists and belongs to this account is accepted.

        Raises:
            ObjectStoreError: A subclass.
        """
        try:
            with self._translated():
                client = self._client(self._endpoint_url)
                region = client.meta.region_name
                where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
                client.create_bucket(
                    Bucket=self.bucket, **({} if region == _HOME_REGION else where)
                )
        except ObjectStoreRefused as refused:
            if refused.code != "BucketAlreadyOwnedByYou":
                raise

    def close(self) -> None:
        """Close the connections that are open."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._signed_put = None

    def _translated(self, key: str = "", size_bytes: int = 0) -> Any:
        return translated(self.address, self.bucket, key, size_bytes=size_bytes)

    def _client(self, endpoint_url: str | None) -> Any:
        client = self._clients.get(endpoint_url)
        if client is not None:
            return client
        with self._lock:
            if endpoint_url not in self._clients:
                self._clients[endpoint_url] = self._new_client(endpoint_url)
            return self._clients[endpoint_url]

    @cached_property
    def _session(self) -> Any:
        """Return region and credentials, shared by both clients: rotating ones are fetched once."""
        return boto3.session.Session(
            aws_access_key_id=self._settings.access_key_id,
            aws_secret_access_key=self._settings.secret_access_key,
            region_name=self._settings.region,
        )

    def _fast_put(self, client: Any) -> SignedPut:
        """Return the signed put, for puts without extras; created at first use, like the client."""
        if self._signed_put is None:
            self._signed_put = SignedPut(client, self._session.get_credentials(), self.bucket)
        return self._signed_put

    def _signed_links(self) -> SignedLinks:
        """Return what signs links, created at first use, like the client."""
        if self._links is None:
            client = self._client(self._public_url)
            self._links = SignedLinks(client, self._session.get_credentials(), self.bucket)
        return self._links

    def _new_client(self, endpoint_url: str | None) -> Any:
        region = self._session.region_name or _HOME_REGION
        client = self._session.client(
            "s3", endpoint_url=endpoint_url, region_name=region, config=self._config
        )
        use_final_responses(client)
        self._sent.watch(client)
        return client

"""The bucket: put, get, look, delete, and links that anyone may open for a while.

One client, built at its first use and shared by all threads, as it is costly to make and safe to
share. Stores that merely speak S3 differ most in checksums and addressing, so those are settings.
A second client exists only to sign links on the address that users see. What a key is called is
decided in `keys.py`; whether a failure is worth waiting out, in `object_faults.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from threading import Lock
from typing import Any, Literal
from uuid import uuid4

import boto3
from botocore.config import Config

from storage.errors import BucketMissing, ObjectMissing, ObjectStoreRefused
from storage.object_faults import check_stored, translated
from storage.pieces import Pieces, joined, size_of
from storage.s3_connections import use_final_responses
from storage.signed_put import SignedPut

_ATTEMPTS = 3
_PIECE_BYTES = 1 << 18
_MAX_LINK_S = 7 * 24 * 3600  # the longest that signature version 4 allows
_HOME_REGION = "us-east-1"  # the one region whose name must not be sent when creating a bucket


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the bucket says of an object without sending it."""

    key: str
    size_bytes: int


class ObjectStore:
    """One bucket of an S3-compatible store.

    Nothing is connected before the first call. Safe to share between threads.

    Args:
        bucket: Its name; never created unless `create_bucket` is called.
        endpoint_url: None for AWS itself.
        region: None for what boto3 finds by itself, else `us-east-1`.
        public_url: The endpoint as users reach it, for signed links; None: `endpoint_url`.
        addressing: Bucket in the path, in the host name, or as botocore thinks best.
        checksums: `when_required` for stores that do not know S3's newer checksums.
        extra_put_args: Sent with every put, such as `ServerSideEncryption` or `Tagging`.
        max_connections: Kept open at once: as many as threads that use the store.
        connect_timeout_s: For one attempt.
        read_timeout_s: Between two signs of life.
        access_key_id: None for boto3's usual chain.
        secret_access_key: With `access_key_id`.
    """

    def __init__(
        self,
        *,
        bucket: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        public_url: str | None = None,
        addressing: Literal["auto", "path", "virtual"] = "auto",
        checksums: Literal["when_required", "when_supported"] = "when_required",
        extra_put_args: Mapping[str, Any] | None = None,
        max_connections: int = 16,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 60.0,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self.bucket = bucket
        self.address = endpoint_url or "AWS S3"
        self._endpoint_url = endpoint_url
        self._public_url = public_url or endpoint_url
        self._extra_put_args = dict(extra_put_args or {})
        self._config = Config(
            signature_version="s3v4",
            s3={"addressing_style": addressing, "payload_signing_enabled": False},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            max_pool_connections=max_connections,
            connect_timeout=connect_timeout_s,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._region = region
        self._clients: dict[str | None, Any] = {}
        self._signed_put: SignedPut | None = None
        self._is_plain = not self._extra_put_args and checksums == "when_required"
        self._lock = Lock()

    def put(self, key: str, data: bytes | Pieces, content_type: str = "image/png") -> None:
        """Store an object, whole or in pieces, replacing what is there.

        Raises:
            ObjectStoreError: One of its kinds; after `ObjectStoreUnavailable` it may be there.
        """
        pieces = [data] if isinstance(data, bytes) else data
        with self._translated(key, size_of(pieces)):
            client = self._client(self._endpoint_url)
            if self._is_plain and self._short_way(client).put(key, pieces, content_type):
                return
            answer = client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=joined(pieces),
                ContentType=content_type,
                **self._extra_put_args,
            )
        check_stored(answer, self.address, self.bucket)

    def get(self, key: str) -> bytes:
        """Fetch an object.

        Raises:
            ObjectMissing: There is none.
            ObjectStoreError: One of its other kinds.
        """
        with self._translated(key):
            answer = self._client(self._endpoint_url).get_object(Bucket=self.bucket, Key=key)
            with answer["Body"] as body:
                data: bytes = body.read()
        return data

    def stream(self, key: str) -> Iterator[bytes]:
        """Fetch an object piece by piece, for who passes it on and need not hold it whole.

        Raises:
            ObjectMissing: There is none; known before the first piece.
            ObjectStoreError: One of its other kinds; also between two pieces.
        """
        with self._translated(key):
            answer = self._client(self._endpoint_url).get_object(Bucket=self.bucket, Key=key)
        return self._pieces(key, answer["Body"])

    def _pieces(self, key: str, body: Any) -> Iterator[bytes]:
        with self._translated(key), body:
            while piece := body.read(_PIECE_BYTES):
                yield piece

    def head(self, key: str) -> StoredObject | None:
        """What is known of an object; None where there is none.

        Raises:
            ObjectStoreError: Nobody can say.
        """
        try:
            with self._translated(key):
                client = self._client(self._endpoint_url)
                answer = client.head_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return None
        return StoredObject(key, int(answer["ContentLength"]))

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key.

        Raises:
            ObjectStoreError: Nobody can say.
        """
        return self.head(key) is not None

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is deleted already.

        Raises:
            ObjectStoreError: One of its kinds.
        """
        try:
            with self._translated(key):
                self._client(self._endpoint_url).delete_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return

    def signed_url(self, key: str, expires_s: int) -> str:
        """A link that anyone may open until it expires; made without asking the store.

        Args:
            key: Of the object, which is not looked up.
            expires_s: Up to a week, the most that signature version 4 allows.
        """
        with self._translated(key):
            link: str = self._client(self._public_url).generate_presigned_url(
                "get_object",
                Params={"Bucket": self.bucket, "Key": key},
                ExpiresIn=min(int(expires_s), _MAX_LINK_S),
            )
        return link

    def check_rights(self, prefix: str = "") -> None:
        """Put, get and delete a small object, as the workers will.

        Args:
            prefix: The folder the workers write to.

        Raises:
            ObjectStoreError: Whatever stands in the way.
        """
        folder = prefix.strip("/")
        key = f"{folder}/probe-{uuid4()}" if folder else f"probe-{uuid4()}"
        data = b"darkroom was here"
        self.put(key, data, "text/plain")
        try:
            same = sha256(self.get(key)).digest() == sha256(data).digest()
        finally:
            self.delete(key)
        if not same:
            raise ObjectStoreRefused("Altered", f"{self.address} gave back other bytes than it got")

    def bucket_exists(self) -> bool:
        """Whether the bucket is there and visible.

        Raises:
            ObjectStoreError: Nobody can say.
        """
        try:
            with self._translated():
                self._client(self._endpoint_url).head_bucket(Bucket=self.bucket)
        except BucketMissing:
            return False
        return True

    def create_bucket(self) -> None:
        """Create the bucket; one that is there already and is ours is fine.

        Raises:
            ObjectStoreError: One of its kinds.
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
            self._clients.clear()
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
        """Region and credentials, which both clients share: rotating ones are fetched once."""
        return boto3.session.Session(
            aws_access_key_id=self._access_key_id,
            aws_secret_access_key=self._secret_access_key,
            region_name=self._region,
        )

    def _short_way(self, client: Any) -> SignedPut:
        """For puts without extras; made at the first, as the client is."""
        if self._signed_put is None:
            self._signed_put = SignedPut(client, self._session.get_credentials(), self.bucket)
        return self._signed_put

    def _new_client(self, endpoint_url: str | None) -> Any:
        region = self._session.region_name or _HOME_REGION
        client = self._session.client(
            "s3", endpoint_url=endpoint_url, region_name=region, config=self._config
        )
        use_final_responses(client)
        return client

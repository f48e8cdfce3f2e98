"""Translate botocore's exceptions into `ObjectStoreError`, in this one place.

Stores that speak S3 differ in their error codes. So the HTTP status decides first, and the code
only if it says more. Every error that may pass by itself is `ObjectStoreUnavailable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore import exceptions as boto

from storage.errors import (
    BucketMissing,
    ObjectDigestMismatch,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
)
from storage.objects import botocore_garbage

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: codes that ask for a retry.
_PATIENCE = {
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
# The body is not the one that was signed, or does not match the checksum sent with it.
_CHANGED = {"BadDigest", "XAmzContentSHA256Mismatch"}
_NO_BUCKET = {"NoSuchBucket"}
_NO_OBJECT = {"NoSuchKey", "NotFound", "404"}
_STORED = 200
_SERVER_ERROR = 500
_TOO_MANY = 429
_TIMEOUT = 408
_NOT_FOUND = 404

_MISCONFIGURED = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.NoRegionError,
    boto.InvalidRegionError,
    boto.ParamValidationError,
    boto.ProfileNotFound,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
    boto.UnknownEndpointError,
    boto.DataNotFoundError,
)


@contextmanager
def translated(address: str, bucket: str, key: str = "", *, size_bytes: int = 0) -> Iterator[None]:
    """Run a block, and translate the botocore errors that it raises.

    Args:
        address: The endpoint, for messages.
        bucket: Its bucket.
        key: The requested object's key, if the request is for one object.
        size_bytes: Size of the body that is being put.

    Raises:
        ObjectStoreUnavailable: Waiting may help; `ObjectDigestMismatch` if other bytes arrived.
        ObjectStoreRefused: A setting, a key or a right is wrong.
        BucketMissing: There is no such bucket.
        ObjectMissing: There is no object under this key.
    """
    try:
        yield
    except (boto.BotoCoreError, boto.ClientError, Boto3Error, OSError, ValueError) as foreign:
        botocore_garbage.collect(size_bytes)
        raise translate(foreign, address, bucket, key) from foreign


def check_stored(answer: Any, address: str, bucket: str) -> None:
    """Check that a put which botocore takes for a success was answered with 200.

    S3 answers a stored object with nothing else; another 2xx comes from something in between.

    Args:
        answer: Of `put_object`.
        address: The endpoint, for messages.
        bucket: Its bucket.

    Raises:
        ObjectStoreUnavailable: It was answered with another status.
    """
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    if status != _STORED:
        raise ObjectStoreUnavailable(
            f"{address}, bucket {bucket!r}: a put was answered with HTTP status {status}, not 200"
        )


def translate(foreign: Exception, address: str, bucket: str, key: str = "") -> ObjectStoreError:
    """Return the `ObjectStoreError` for a foreign exception."""
    if isinstance(foreign, boto.ClientError):
        return _from_answer(foreign, address, bucket, key)
    words = f"{address}, bucket {bucket!r}: {foreign}"
    if isinstance(foreign, (*_MISCONFIGURED, ValueError)):
        return ObjectStoreRefused(type(foreign).__name__, words)
    return ObjectStoreUnavailable(words)


def _from_answer(error: boto.ClientError, address: str, bucket: str, key: str) -> ObjectStoreError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = f"{address}, bucket {bucket!r}: {error}"
    if code in _NO_BUCKET:
        return BucketMissing(bucket)
    if code in _NO_OBJECT or (status == _NOT_FOUND and not code):
        return ObjectMissing(key) if key else BucketMissing(bucket)
    if code in _CHANGED:
        return ObjectDigestMismatch(words)
    if code in _PATIENCE or status >= _SERVER_ERROR or status in {_TOO_MANY, _TIMEOUT}:
        return ObjectStoreUnavailable(words)
    return ObjectStoreRefused(code or str(status), words)

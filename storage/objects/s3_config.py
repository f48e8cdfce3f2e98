"""Define the settings of an object store, and build botocore's configuration from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from botocore.config import Config

__all__ = ["StoreSettings", "s3_config"]

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Say where a bucket is and how to speak to its store.

    Attributes:
        bucket: Its name; never created unless `create_bucket` is called.
        endpoint_url: None for AWS itself.
        region: None for boto3's own search, else `us-east-1`.
        public_url: The endpoint as users reach it, for signed links; None: `endpoint_url`.
        addressing: Bucket in the path, in the host name, or as botocore chooses.
        checksums: `when_required` for stores that do not support S3's newer checksums.
        sign_payload: Sign the SHA-256 of what is put, so that the store refuses other bytes.
        extra_put_args: Sent with every put, such as `ServerSideEncryption` or `Tagging`.
        max_connections: Kept open at once: as many as threads that use the store.
        connect_timeout_s: For one attempt.
        read_timeout_s: Longest wait between two reads.
        access_key_id: None for boto3's usual chain.
        secret_access_key: With `access_key_id`.
    """

    bucket: str
    endpoint_url: str | None = None
    region: str | None = None
    public_url: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    checksums: Literal["when_required", "when_supported"] = "when_required"
    sign_payload: bool = True
    extra_put_args: Mapping[str, Any] | None = None
    max_connections: int = 16
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)


def s3_config(settings: StoreSettings) -> Config:
    """Return botocore's configuration."""
    return Config(
        signature_version="s3v4",
        s3={
            "addressing_style": settings.addressing,
            "payload_signing_enabled": settings.sign_payload,
        },
        request_checksum_calculation=settings.checksums,
        response_checksum_validation=settings.checksums,
        max_pool_connections=settings.max_connections,
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )

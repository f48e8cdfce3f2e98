"""Build the botocore configuration of Darkroom's S3 clients."""

from __future__ import annotations

from typing import Final, Literal

from botocore.config import Config

__all__ = ["s3_config"]

_ATTEMPTS: Final = 3


def s3_config(
    *,
    addressing: Literal["auto", "path", "virtual"],
    checksums: Literal["when_required", "when_supported"],
    sign_payload: bool,
    max_connections: int,
    connect_timeout_s: float,
    read_timeout_s: float,
) -> Config:
    """Return botocore's configuration; the arguments are those of `ObjectStore`."""
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing, "payload_signing_enabled": sign_payload},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        max_pool_connections=max_connections,
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )

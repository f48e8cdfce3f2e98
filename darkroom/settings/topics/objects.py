"""Settings of the object store and of the spool before it."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import Bytes, PlainUrl, Seconds

__all__ = ["ObjectSettings"]


class ObjectSettings(BaseSettings):
    """Settings of the object store and of the spool before it."""

    # The object store
    s3_bucket: str | None = Field(None, description="The bucket, required; it must exist already.")
    s3_endpoint_url: PlainUrl | None = Field(
        None, description="An S3-compatible server; AWS where it is not set."
    )
    s3_region: str | None = Field(None, description="Region; boto3's usual chain where not set.")
    s3_public_url: PlainUrl | None = Field(
        None,
        description="Address in signed links, if readers use another.",
    )
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Bucket in the path or in the host name."
    )
    s3_checksums: Literal["when_required", "when_supported"] = Field(
        "when_required",
        description="When boto3 adds and checks checksums; some stores refuse them.",
    )
    s3_sign_payload: bool = Field(
        default=True,
        description="Sign the SHA-256 of what is put; off for stores that cannot verify it.",
    )
    s3_put_args: dict[str, str] = Field(
        {}, description="More arguments of every put, as JSON: KMS key, tags, storage class."
    )
    s3_key_prefix: str = Field(
        "", pattern=r"^([A-Za-z0-9_.-]+/)*$", description="Folder before every key; ends with `/`."
    )
    s3_url_expires_s: int = Field(
        3600, ge=1, le=604_800, description="How long a signed link works (S3's own limit: 7 days)."
    )

    # The spool
    spool_dir: Path = Field(
        Path("darkroom-spool"), description="Folder where a paid image rests until storage has it."
    )
    spool_max_bytes: Bytes | None = Field(
        None,
        description="Calls start only while images at rest, in flight and about to be called for, "
        "of 4 MB each, fit this; by default 4 GB, or twice what all calls in flight need if that "
        "is more.",
    )
    spool_fsync: bool = Field(
        default=True,
        description="Force each image to the disk; without, a power cut may lose the last ones.",
    )
    spool_grace_s: Seconds = Field(
        300.0, description="How long a dead worker's spooled image is waited for before it is lost."
    )

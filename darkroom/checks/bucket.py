"""Check that the bucket exists, and that objects in it can be written, read and deleted."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.errors import UserError
from darkroom.wiring.factory import Wiring
from storage.errors import ObjectStoreRefused, StorageError
from storage.objects.bucket_probe import check_rights as probe_rights
from storage.objects.bucket_probe import verifies_payload

__all__ = ["check_bucket", "check_payload", "check_rights", "create_missing_bucket"]

ABOUT = "bucket"


def check_bucket(wiring: Wiring) -> Iterator[Finding]:
    """Check that the bucket exists and that the S3 key grants access to it.

    Raises:
        UserError: the bucket is missing, or access is denied.
    """
    try:
        is_there = wiring.objects.bucket_exists()
    except StorageError as error:
        raise _bad(error) from error
    if not is_there:
        raise UserError(
            f"DARKROOM_S3_BUCKET: there is no bucket {_name(wiring)}; "
            "make it, or run `darkroom doctor --create-bucket`"
        )
    yield Finding(ABOUT, Level.OK, f"{_name(wiring)} is there")


def check_rights(wiring: Wiring) -> Iterator[Finding]:
    """Check that a probe object can be written, read back and deleted.

    Raises:
        UserError: one of the three operations failed.
    """
    try:
        probe_rights(wiring.objects, wiring.key_prefix)
    except StorageError as error:
        raise _bad(error) from error
    yield Finding(ABOUT, Level.OK, "a probe object was put, read and deleted")


def check_payload(wiring: Wiring) -> Iterator[Finding]:
    """Check that the store rejects a body that differs from the signed one.

    Raises:
        UserError: the store accepted such an object and it could not be deleted.
    """
    if not wiring.settings.s3_sign_payload:
        text = "puts are not signed with their SHA-256: what changes on the way is stored"
        yield Finding(ABOUT, Level.WARN, text, "set DARKROOM_S3_SIGN_PAYLOAD=true")
        return
    try:
        is_verified = verifies_payload(wiring.objects, wiring.key_prefix)
    except StorageError as error:
        raise _bad(error) from error
    if is_verified:
        yield Finding(ABOUT, Level.OK, "a probe object with a wrong SHA-256 was refused")
    elif is_verified is None:
        text = "it could not be tested whether the store verifies the SHA-256 of what is put"
        yield Finding(ABOUT, Level.WARN, text)
    else:
        yield Finding(
            ABOUT,
            Level.WARN,
            "the store took a probe object with a wrong SHA-256: it does not verify what is put",
            "run `darkroom verify --deep` from time to time",
        )


def create_missing_bucket(wiring: Wiring) -> Iterator[Finding]:
    """Create the bucket if it does not exist.

    Raises:
        UserError: it could not be created.
    """
    try:
        if wiring.objects.bucket_exists():
            return
        wiring.objects.create_bucket()
    except StorageError as error:
        raise _bad(error) from error
    yield Finding(ABOUT, Level.OK, f"{_name(wiring)} was created")


def _name(wiring: Wiring) -> str:
    settings = wiring.settings
    return f"{settings.s3_bucket} at {settings.s3_endpoint_url or 'AWS'}"


def _bad(error: StorageError) -> UserError:
    """Build the error from the store's; if access was denied, name the source of the keys."""
    keys = "; its keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or boto3's own files"
    return UserError(
        f"DARKROOM_S3_BUCKET: {error}{keys if isinstance(error, ObjectStoreRefused) else ''}"
    )

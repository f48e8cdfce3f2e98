"""What a worker makes sure of before it takes a job: a wrong setting must not cost a paid call."""

import logging

from kombu.exceptions import OperationalError

from darkroom.errors import UserError
from darkroom.settings import misspelt
from darkroom.wiring import Wiring
from playground import Meaning, PlaygroundError
from storage import StorageError, check_schema

__all__ = ["check_broker", "check_worker"]

log = logging.getLogger(__name__)


def check_worker(wiring: Wiring) -> None:
    """Refuse to start where a setting cannot work.

    Raises:
        UserError: one line that names the setting and the address that was tried.
    """
    for sentence in misspelt():
        log.warning(sentence)
    check_broker(wiring)
    check_table(wiring)
    check_bucket(wiring)
    check_key(wiring)


def check_broker(wiring: Wiring) -> None:
    """The broker answers."""
    connection = wiring.app.connection_for_write(connect_timeout=5)
    address = connection.as_uri()
    try:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except (OperationalError, OSError) as error:
        raise UserError(f"DARKROOM_BROKER_URL: no broker at {address} ({error})") from error


def check_table(wiring: Wiring) -> None:
    """The results table is there, and of this release."""
    try:
        check_schema(wiring.database)
    except StorageError as error:
        raise UserError(f"DARKROOM_DATABASE_URL: {error}") from error


def check_bucket(wiring: Wiring) -> None:
    """The bucket is there, and the S3 key opens it."""
    settings = wiring.settings
    address = settings.s3_endpoint_url or "AWS"
    try:
        is_there = wiring.objects.bucket_exists()
    except StorageError as error:
        raise UserError(
            f"DARKROOM_S3_BUCKET: {settings.s3_bucket} at {address}: {error}"
        ) from error
    if not is_there:
        raise UserError(
            f"DARKROOM_S3_BUCKET: there is no bucket {settings.s3_bucket} at {address}; "
            "make it, or run `darkroom doctor --create-bucket`"
        )


def check_key(wiring: Wiring) -> None:
    """The API takes our key. An API that does not answer now is no reason not to start."""
    url = wiring.settings.playground_url
    try:
        verdict = wiring.playground.check_key()
    except PlaygroundError as error:
        log.warning("the API does not answer now", extra={"url": url, "error": str(error)})
        return
    if verdict.meaning is Meaning.BLOCKED:
        raise UserError(f"DARKROOM_PLAYGROUND_API_KEY: refused by {url} ({verdict.code})")
    if verdict.meaning is Meaning.NOT_THE_API:
        raise UserError(f"DARKROOM_PLAYGROUND_URL: {url} is not the image API ({verdict.message})")

"""Records of libraries are made without the values that they were about, for every reader."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from amqp.exceptions import ConnectionForced
from celery.app.trace import LOG_REJECTED
from redis.exceptions import ResponseError

from darkroom.library_logs import LIBRARIES, hide_values_of_libraries
from tests.services import S3Endpoint

MARK = "mark-of-a-prompt"


class Values:
    """Something whose text has a prompt in it."""

    def __repr__(self) -> str:
        return MARK

    __str__ = __repr__


VALUES: Mapping[str, Any] = {
    "text": MARK,
    "bytes": MARK.encode(),
    "list": [MARK],
    "object": {"prompt": MARK},
    "something": Values(),
    "error": ValueError(MARK),
    "decoding": UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, "no"),
    "refusal": ResponseError(f"unknown command, with args beginning with: {MARK}"),
}


@pytest.fixture(autouse=True)
def hidden(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """As in a worker, from this test's first record to its last."""
    usual = logging.getLogRecordFactory()
    trace = logging.getLogger("celery.app.trace")
    filters = list(trace.filters)
    hide_values_of_libraries()
    caplog.set_level(logging.DEBUG)
    yield
    logging.setLogRecordFactory(usual)
    trace.filters[:] = filters


def break_off(value: object) -> None:
    """Raise an error that quotes a value."""
    raise RuntimeError(value)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("value", list(VALUES.values()), ids=list(VALUES))
def test_a_value_shows_its_type_alone(
    library: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """At the lowest level and the highest, by itself and by name, with a traceback and without."""
    log = logging.getLogger(f"{library}.some.module")
    log.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.CRITICAL):
        log.log(level, "was given %r", value)
        log.log(level, "was given %s, %s", 7, value)
        log.log(level, "was given %(what)r", {"what": value})
        try:
            break_off(value)
        except RuntimeError:
            log.log(level, "it broke off", exc_info=True)
    log.debug(value if not isinstance(value, str) else "a text of its own")
    assert MARK not in caplog.text
    assert "was given 7" in caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "Connection refused"), ConnectionForced("bye")]
)
def test_an_error_of_a_connection_keeps_its_words(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators need them, and nothing that was sent is among them."""
    logging.getLogger("celery.worker.consumer.consumer").error("no broker at %s: %r", "x:1", error)
    assert type(error).__name__ in caplog.text
    assert str(error) in caplog.text
    assert "no broker at x:1" in caplog.text


def test_the_fleets_own_records_are_left_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """They are made without prompts in the first place."""
    logging.getLogger("tasks.submission.submit_task").warning("a job %s", "waits")
    assert "a job waits" in caplog.text


def test_a_rejected_message_has_one_line_and_not_celerys_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Celery's comes with a traceback."""
    words = {"name": "darkroom.submit", "id": "1", "exc": "reject"}
    logging.getLogger("celery.app.trace").warning(LOG_REJECTED.strip(), words)
    assert caplog.records == []


def test_celerys_warning_of_an_error_outside_a_task_quotes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It goes by Python's warnings, with the error and its traceback in one text."""
    log = logging.getLogger("py.warnings")
    log.warning("%s", f"RuntimeWarning: Exception raised outside body: ValueError('{MARK}')")
    log.warning("%s", "another warning")
    assert MARK not in caplog.text
    assert "another warning" in caplog.text


def test_installing_it_twice_changes_nothing() -> None:
    """Each command that logs does it."""
    once = logging.getLogRecordFactory()
    hide_values_of_libraries()
    assert logging.getLogRecordFactory() is once


def test_boto3_at_debug_quotes_no_body_key_or_signature(
    s3: S3Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A real put, a real refusal and a signed link, with all of botocore and urllib3 on."""
    levels = {name: logging.getLogger(name).level for name in ("boto3", "botocore", "urllib3")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    import boto3  # noqa: PLC0415 - its loggers are to be on when it starts

    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )
    client.put_object(Bucket=s3.bucket, Key="a", Body=MARK.encode(), Metadata={"note": MARK})
    assert client.get_object(Bucket=s3.bucket, Key="a")["Body"].read() == MARK.encode()
    link = client.generate_presigned_url("get_object", Params={"Bucket": s3.bucket, "Key": MARK})
    client.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    heard = {record.name.partition(".")[0] for record in caplog.records}
    assert {"botocore", "urllib3"} <= heard
    shown = "\n".join(f"{record.getMessage()}" for record in caplog.records)
    for secret in (MARK, s3.secret_access_key, link.split("Signature=")[1][:20], "Signature="):
        assert secret not in shown

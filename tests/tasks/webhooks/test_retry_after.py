"""`Retry-After` as receivers write it."""

import time
from email.message import Message
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.webhooks.retry_after import retry_after_s


def read(value: str, date: str | None = None) -> float | None:
    """Read a header, beside the other side's clock if it tells the time."""
    headers = Message()
    headers["retry-after"] = value
    if date is not None:
        headers["date"] = date
    return retry_after_s(headers)


def test_seconds_and_dates_are_understood() -> None:
    """Both forms of RFC 9110."""
    assert read(" 120 ") == 120
    assert read("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:30 GMT") == 30
    soon = read(formatdate(time.time() + 600, usegmt=True))
    assert soon is not None
    assert 500 < soon <= 600


def test_a_moment_that_has_passed_is_now() -> None:
    """Never negative."""
    assert read("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e3", "NaN", "٣", "9" * 40, "Wed, 99 Xxx 1"])
def test_nonsense_is_no_header(value: str) -> None:
    """The schedule goes on as if nothing had been said."""
    assert read(value) is None


def test_an_absent_header_asks_for_nothing() -> None:
    """Most answers have none."""
    assert retry_after_s(Message()) is None


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n")))
def test_no_value_makes_it_fail(value: str) -> None:
    """The header is the receiver's, so it may hold anything."""
    wait_s = read(value, value)
    assert wait_s is None or wait_s >= 0

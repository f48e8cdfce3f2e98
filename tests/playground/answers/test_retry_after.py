"""`Retry-After` as servers write it: the API, and receivers of webhooks."""

import time
from email.message import Message
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.answers.retry_after import retry_after_s
from tests.cases.retry_after import RETRY_AFTER_CASES


def read(value: str, date: str) -> float | None:
    """Read a header, beside the other side's clock if it tells the time."""
    headers = Message()
    headers["retry-after"] = value
    headers["date"] = date
    return retry_after_s(headers)


@pytest.mark.parametrize(("value", "date", "seconds"), RETRY_AFTER_CASES)
def test_retry_after_is_seconds_or_a_date_or_nothing(
    value: str, date: str, seconds: float | None
) -> None:
    """A date counts from the other side's own clock; one gone by means at once."""
    assert retry_after_s({"RETRY-AFTER": value, "Date": date}) == seconds


def test_a_date_counts_from_this_machines_clock_if_the_other_side_has_none() -> None:
    """Most servers have one."""
    soon = retry_after_s({"Retry-After": formatdate(time.time() + 600, usegmt=True)})
    assert soon is not None
    assert 500 < soon <= 600


@pytest.mark.parametrize("value", ["4000", "Wed, 01 Jan 9998 00:00:00 GMT"])
def test_a_wait_is_limited_to_what_the_caller_believes(value: str) -> None:
    """No response can stop a fleet for a day."""
    assert retry_after_s({"Retry-After": value}, cap_s=3600.0) == 3600.0


def test_an_absent_header_asks_for_nothing() -> None:
    """Most responses have none."""
    assert retry_after_s(Message()) is None


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n")))
def test_no_value_makes_it_fail(value: str) -> None:
    """The header is the other side's, so it may hold anything."""
    wait_s = read(value, value)
    assert wait_s is None or wait_s >= 0

"""What an answer means: the table, and that it has a row for everything."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.answers.judge import judge
from playground.answers.verdict import Answer, Meaning, Verdict
from playground.errors import AnswerTooLarge, NotSent, OutcomeUnknown, PngDamaged
from tests.playground.pictures import base64_of, picture

WHOLE = base64_of(picture(6, 5))


def of(status: int, body: object = b"", **headers: str) -> Verdict:
    """Judge an answer; what is no bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(Answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, data))


TABLE = {
    Meaning.REFUSED: [400, 406, 409, 410, 413, 415, 418, 422, 431, 451, 499],
    Meaning.BLOCKED: [401, 402, 403],
    Meaning.NOT_THE_API: [300, 301, 302, 303, 304, 307, 308, 404, 405, 407,
                          0, 99, 600, 999],
    Meaning.TOO_FAST: [429, 503],
    Meaning.NOT_PAID: [500, 501, 505, 507, 508, 511, 519, 528, 530, 599],
    Meaning.UNKNOWN: [201, 202, 203, 204, 205, 206, 226, 299, 408, 502, 504, *range(520, 528), 100,
                      101, 103],
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "meaning"), [(status, row) for row, statuses in TABLE.items() for status in statuses]
)
def test_every_status_has_the_tables_meaning(status: int, meaning: Meaning) -> None:
    """A status without words is judged by the table and named in the code."""
    verdict = of(status)
    assert verdict.meaning is meaning
    assert verdict.code == f"HTTP_{status}"
    assert verdict.message


def test_a_whole_picture_is_in_hand() -> None:
    """200 with a PNG is paid for and here, with its size."""
    verdict = of(200, {"images": [WHOLE]})
    assert verdict.meaning is Meaning.RECEIVED
    assert [(png.width, png.height, png.data) for png in verdict.images] == [(6, 5, picture(6, 5))]


def test_good_pictures_are_kept_beside_damaged_ones() -> None:
    """One whole PNG is enough; the others are reported."""
    verdict = of(200, {"images": ["***", WHOLE, None, WHOLE]})
    assert verdict.meaning is Meaning.RECEIVED
    assert len(verdict.images) == 2
    assert "2 damaged" in verdict.message


def test_a_data_url_is_read_as_what_it_holds() -> None:
    """The page says bare base64; a prefix never costs a paid picture."""
    verdict = of(200, {"images": [f"data:image/png;base64,{WHOLE}"]})
    assert verdict.meaning is Meaning.RECEIVED


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"images": []}, "NO_IMAGES"),
        ({"images": None}, "NO_IMAGES"),
        ({"images": 5, "seed": 7}, "NO_IMAGES"),
        ({"error": "sorry"}, "NO_IMAGES"),
        ({"images": [5]}, "BAD_BASE64"),
        ({"images": ["%%%"]}, "BAD_BASE64"),
        ({"images": [WHOLE[:-12] + "é" + WHOLE[-12:]]}, "BAD_BASE64"),
        ({"images": [""]}, "PNG_DAMAGED"),
        ({"images": [base64_of(picture(6, 5)[:-5])]}, "PNG_DAMAGED"),
        ({"images": [base64_of(picture(kind="JPEG"))]}, "PNG_DAMAGED"),
    ],
)
def test_json_without_a_usable_picture_is_useless(body: object, code: str) -> None:
    """Paid, and nothing to show for it."""
    verdict = of(200, body)
    assert (verdict.meaning, verdict.code, verdict.images) == (Meaning.USELESS, code, ())


def test_a_success_without_images_keeps_the_words_of_the_api() -> None:
    """An operator reads why the call gave nothing; without words the error says what is missing."""
    assert of(200, {"images": [], "message": "the model is busy"}).message == "the model is busy"
    assert of(200, {"images": []}).message == "the answer carries no images"


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"<html>Sign in</html>", b"\xff\xfe", b"hello", b"NaN", b"{}", b"[]", b'"ok"',
     b"null", b'{"status": "up"}'],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_a_success_with_nothing_of_the_apis_may_be_paid_and_may_be_another_servers(
    status: int, body: bytes
) -> None:
    """A captive portal sends pages, and an API that charged may have lost its answer."""
    verdict = of(status, body)
    assert verdict.meaning is Meaning.UNKNOWN
    assert verdict.is_foreign


@pytest.mark.parametrize("status", [408, 502, 504, 520, 103])
def test_other_answers_of_unknown_outcome_are_not_another_servers(status: int) -> None:
    """A gateway that gave up stands before the API: one such answer pauses nothing."""
    assert not of(status).is_foreign


def test_large_json_of_another_shape_is_another_servers() -> None:
    """Only its beginning is read for words, and the beginning of a list of things has none."""
    assert of(200, {f"thing {number}": number for number in range(9000)}).is_foreign
    assert of(200, {"error": "sorry"}).meaning is Meaning.USELESS


def test_a_refusal_with_another_success_status_may_be_paid() -> None:
    """Only a 200 of the API's own shape is known to be worth nothing."""
    assert of(202, {"images": []}).meaning is Meaning.UNKNOWN


@pytest.mark.parametrize("head", ["", "\ufeff", "\n"])
def test_the_apis_own_json_cut_off_is_useless_not_foreign(head: str) -> None:
    """A torn answer of the API itself must not be counted as another server's."""
    verdict = of(200, f'{head}{{"images": ["iVBORw0'.encode())
    assert (verdict.meaning, verdict.code) == (Meaning.USELESS, "BAD_JSON")


def test_a_page_of_html_is_shortened_to_its_words() -> None:
    """People get the sentence, not the markup."""
    head = b"<html><head><style>p {}</style><script>" + b"a < b;" * 2000 + b"</script></head>"
    page = head + b"<p>Sign&nbsp;in <b>here</b></p>" + b"x" * 9999
    message = of(200, page).message
    assert message.startswith("Sign in here")
    assert len(message) <= 500


@pytest.mark.parametrize(
    "body",
    [
        {"code": "PROMPT_UNSAFE", "message": "no"},
        {"error": {"code": "PROMPT_UNSAFE", "message": "no"}},
        {"error": "PROMPT_UNSAFE"},
        {"errors": [{"code": "prompt_unsafe"}]},
        {"detail": "refused: PROMPT_UNSAFE"},
        {"a": {"b": {"c": {"d": {"e": "PROMPT_UNSAFE"}}}}},
        "PROMPT_UNSAFE",
        b"Error: PROMPT_UNSAFE",
        b"<p>PROMPT_UNSAFE</p>",
    ],
)
@pytest.mark.parametrize("status", [400, 403, 422])
def test_an_unsafe_prompt_is_refused_wherever_the_code_stands(status: int, body: object) -> None:
    """The one documented code is found in any shape."""
    verdict = of(status, body)
    assert (verdict.meaning, verdict.code) == (Meaning.REFUSED, "PROMPT_UNSAFE")


@pytest.mark.parametrize(
    ("status", "meaning"), [(399, Meaning.NOT_THE_API), (500, Meaning.NOT_PAID)]
)
def test_an_unsafe_prompt_is_no_refusal_outside_the_statuses_of_refusals(
    status: int, meaning: Meaning
) -> None:
    """A redirect or a failing server may quote anything."""
    assert of(status, {"code": "PROMPT_UNSAFE"}).meaning is meaning


def test_an_unsafe_prompt_told_with_200_is_refused_all_the_same() -> None:
    """A refusal that looks like success is not called again."""
    verdict = of(200, {"error": {"code": "PROMPT_UNSAFE"}, "images": []})
    assert (verdict.meaning, verdict.code) == (Meaning.REFUSED, "PROMPT_UNSAFE")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "BAD_SIZE", "message": "too wide"}, "BAD_SIZE", "too wide"),
        ({"error": {"code": "BAD_SIZE", "message": "too wide"}}, "BAD_SIZE", "too wide"),
        ({"error": "too wide"}, "HTTP_400", "too wide"),
        ({"error": "invalid_size"}, "invalid_size", "invalid_size"),
        ({"detail": "too wide"}, "HTTP_400", "too wide"),
        ({"detail": [{"loc": ["width"], "msg": "too wide", "type": "le"}]}, "le", "too wide"),
        ({"message": {"message": "too wide"}}, "HTTP_400", "too wide"),
        ({"code": 17, "message": "too wide"}, "HTTP_400", "too wide"),
        ("too wide", "HTTP_400", "too wide"),
        (b"too wide", "HTTP_400", "too wide"),
        (b"<h1>too wide</h1>", "HTTP_400", "too wide"),
        (b"too\r\n\x1b[31m wide\0", "HTTP_400", "too [31m wide"),
        ([], "HTTP_400", "HTTP status 400 without words"),
    ],
)
def test_the_apis_words_are_found_in_any_shape(body: object, code: str, message: str) -> None:
    """Code and sentence are read from whatever a server plausibly sends."""
    verdict = of(400, body)
    assert (verdict.meaning, verdict.code, verdict.message) == (Meaning.REFUSED, code, message)


def test_a_quoted_bearer_token_is_blotted_out() -> None:
    """A server that repeats our header does not put it into our table."""
    assert "sk-1" not in of(401, {"message": "unknown: Bearer sk-1"}).message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("7", 7.0), ("1.5", 1.5), ("99999999", 3600.0), ("-1", None), ("nan", None),
     ("soon", None), ("", None), ("1_0", None), ("\u0661", None), ("9" * 400, None)],
)  # fmt: skip
def test_retry_after_is_read_in_seconds_and_bounded(value: str, seconds: float | None) -> None:
    """The header is believed as far as an hour."""
    for status in (429, 503):
        assert of(status, b"", RETRY_after=value).retry_after_s == seconds


def test_retry_after_is_read_as_a_date_by_the_servers_own_clock() -> None:
    """A date counts from the answer's date, or from now; one gone by means at once."""
    now = datetime(2020, 1, 1, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=30), usegmt=True)
    assert of(429, Retry_After=later, Date=format_datetime(now, usegmt=True)).retry_after_s == 30
    assert of(429, Retry_After=later).retry_after_s == 0
    assert of(429, Retry_After="Wed, 01 Jan 9998 00:00:00 GMT").retry_after_s == 3600


@pytest.mark.parametrize(
    ("error", "meaning", "code"),
    [
        (NotSent("DNS_FAILED", "x"), Meaning.NOT_PAID, "DNS_FAILED"),
        (OutcomeUnknown("READ_TIMEOUT", "x"), Meaning.UNKNOWN, "READ_TIMEOUT"),
        (AnswerTooLarge(10, 20), Meaning.USELESS, "ANSWER_TOO_LARGE"),
        (PngDamaged("x"), Meaning.UNKNOWN, "UNEXPECTED"),
        (RuntimeError("secret"), Meaning.UNKNOWN, "UNEXPECTED"),
        (KeyboardInterrupt(), Meaning.UNKNOWN, "UNEXPECTED"),
    ],
)
def test_exceptions_have_rows_too(error: BaseException, meaning: Meaning, code: str) -> None:
    """What took an answer's place is judged by whether the request was sent."""
    verdict = judge(error)
    assert (verdict.meaning, verdict.code) == (meaning, code)
    assert "secret" not in verdict.message


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["images", "error", "code", "message", "detail", "data"]), inner
        )
    ),
    max_leaves=8,
)
EXCEPTIONS = st.sampled_from([NotSent, OutcomeUnknown]).map(lambda kind: kind("C", "m")) | (
    st.sampled_from([OSError, ValueError, KeyError, MemoryError, SystemExit, PngDamaged]).map(
        lambda kind: kind("x")
    )
)
BODIES = st.binary(max_size=200) | JSONS.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "retry-after", "Content-Type", "Date"]) | st.text(),
    st.text() | st.sampled_from(["application/json", "Wed, 21 Oct 2015 07:28:00 GMT"]),
    max_size=4,
)
STATUSES = st.sampled_from([200, 400, 429, 503]) | st.integers()


@given(st.builds(Answer, STATUSES, HEADERS, BODIES) | EXCEPTIONS)
@settings(max_examples=settings().max_examples * 2, deadline=None)
def test_the_table_is_total(outcome: Any) -> None:
    """Any status, headers, body or exception gets a verdict that fits its row."""
    verdict = judge(outcome)
    assert bool(verdict.images) == (verdict.meaning is Meaning.RECEIVED)
    assert verdict.code
    assert 0 < len(verdict.message) <= 500
    assert verdict.message.isprintable()
    assert verdict.retry_after_s is None or 0 <= verdict.retry_after_s <= 3600

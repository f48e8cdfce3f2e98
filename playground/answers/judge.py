"""Map the outcome of every call to one verdict, by one total function.

Every status, every body and every exception has a row; nothing here raises. The API's page
documents only the statuses 200 and 400. For the others the rows follow HTTP (RFC 9110) and assume
the worst about money: a response that could hide a finished image is UNKNOWN, not NOT_PAID.

A success (2xx) is judged in this order. An intact image in any form is RECEIVED. A 200 of the API's
own shape without an image is USELESS. Every other success may have been paid, and may come from
another server.
"""

from collections.abc import Sequence
from typing import Final

import orjson
import pybase64

from playground.answers.lone_image import lone_image
from playground.answers.png import Png, check_png
from playground.answers.retry_after import retry_after_s
from playground.answers.untidy import Found, find_images
from playground.answers.verdict import Answer, Meaning, Verdict
from playground.answers.wording import MAX_BODY_BYTES, code_and_message, plain
from playground.errors import (
    AnswerTooLarge,
    CallFailed,
    NotSent,
    OutcomeUnknown,
    PngDamaged,
)
from playground.request.vocabulary import PROMPT_UNSAFE

#: The longest `Retry-After` that is believed, so that no response can stop a fleet for a day.
MAX_RETRY_AFTER_S: Final = 3600.0

# Statuses whose meaning differs from that of their class (4xx, 5xx).
_SPECIAL: Final = {
    401: Meaning.BLOCKED,
    402: Meaning.BLOCKED,
    403: Meaning.BLOCKED,
    404: Meaning.NOT_THE_API,
    405: Meaning.NOT_THE_API,
    407: Meaning.NOT_THE_API,  # a proxy wants a login; every request will fail alike
    408: Meaning.UNKNOWN,
    429: Meaning.TOO_FAST,
    502: Meaning.UNKNOWN,
    503: Meaning.TOO_FAST,
    504: Meaning.UNKNOWN,
    # A CDN's own statuses: it stopped waiting for an origin that may have continued (Cloudflare,
    # 520-527).
    **dict.fromkeys(range(520, 528), Meaning.UNKNOWN),
}
_BY_HUNDRED: Final = {
    1: Meaning.UNKNOWN,  # an interim response: the final one may still have been produced
    3: Meaning.NOT_THE_API,
    4: Meaning.REFUSED,
    5: Meaning.NOT_PAID,
}
_OK: Final = 200
SUCCESSES: Final = range(200, 300)
_MAX_REFUSABLE: Final = (400, 500)


def judge(outcome: Answer | BaseException) -> Verdict:
    """Judge the outcome of a call.

    Args:
        outcome: the whole response, or the exception raised instead.

    Returns:
        A verdict; it never raises. For an unknown exception, nothing is known about the money
        either.
    """
    if isinstance(outcome, BaseException):
        return _of_exception(outcome)
    if outcome.status in SUCCESSES:
        return _of_success(outcome)
    return _of_failure(outcome)


def _of_exception(error: BaseException) -> Verdict:
    if isinstance(error, AnswerTooLarge):
        return Verdict(Meaning.USELESS, "ANSWER_TOO_LARGE", plain(str(error)))
    if isinstance(error, NotSent):
        return Verdict(Meaning.NOT_PAID, error.code, plain(error.message))
    if isinstance(error, OutcomeUnknown) and error.received:
        found = find_images(error.received)
        if found.images:
            return _received(found.images, found.faults)
    if isinstance(error, CallFailed):
        return Verdict(Meaning.UNKNOWN, error.code, plain(error.message))
    name = type(error).__name__
    return Verdict(Meaning.UNKNOWN, "UNEXPECTED", f"the call ended in an unexpected {name}")


def _of_failure(answer: Answer) -> Verdict:
    meaning = _SPECIAL.get(answer.status) or _BY_HUNDRED.get(
        answer.status // 100, Meaning.NOT_THE_API
    )
    code, message = code_and_message(answer.body)
    if code == PROMPT_UNSAFE and answer.status in range(*_MAX_REFUSABLE):
        meaning = Meaning.REFUSED
    if code is None or meaning is Meaning.NOT_THE_API:
        code = f"HTTP_{answer.status}"
    return Verdict(
        meaning,
        code,
        message or f"HTTP status {answer.status} without words",
        retry_after_s(answer.headers, cap_s=MAX_RETRY_AFTER_S),
    )


def _of_success(answer: Answer) -> Verdict:
    """Judge a 2xx: the documented form first, on a fast path, then any other content."""
    images = _as_promised(answer.body)
    if images:
        return _received(images)
    found = find_images(answer.body)
    if found.images:
        return _received(found.images, found.faults)
    return _of_no_images(answer, found)


def _as_promised(body: bytes) -> list[Png]:
    """Return the images of a well-formed response; empty unless all of its images are intact."""
    try:
        image = lone_image(body)
        if image is not None:
            return [check_png(image)]
        encoded = orjson.loads(body)["images"]
        return [check_png(pybase64.b64decode(text, validate=True)) for text in encoded]
    except (PngDamaged, ValueError, TypeError, LookupError):
        return []


def _received(images: Sequence[Png], faults: Sequence[tuple[str, str]] = ()) -> Verdict:
    spoilt = f", {len(faults)} damaged ({faults[0][1]})" if faults else ""
    return Verdict(Meaning.RECEIVED, "OK", f"{len(images)} image(s){spoilt}", None, tuple(images))


def _of_no_images(answer: Answer, found: Found) -> Verdict:
    """Distinguish the API's own response from another server's."""
    code, message = code_and_message(answer.body)
    if answer.status == _OK:
        if found.is_object and code == PROMPT_UNSAFE:
            return Verdict(Meaning.REFUSED, PROMPT_UNSAFE, message)
        if found.faults:
            return Verdict(Meaning.USELESS, *found.faults[0])
        if found.has_images_field and not found.is_object:
            return Verdict(Meaning.USELESS, "BAD_JSON", "the answer's JSON is damaged or cut short")
        # A truncated body has no message by which to distinguish it.
        is_error = found.is_object and len(answer.body) <= MAX_BODY_BYTES and bool(code or message)
        if found.has_images_field or is_error:
            return Verdict(Meaning.USELESS, "NO_IMAGES", message or "the answer carries no images")
    name = "NO_PICTURE" if answer.status == _OK else f"HTTP_{answer.status}"
    words = message or f"HTTP status {answer.status} without a picture"
    return Verdict(Meaning.UNKNOWN, name, words, is_foreign=True)

"""What an answer means: one total function from whatever came back to one verdict.

Every status, every body and every exception has a row; nothing here raises. The statuses besides
200 and 400 are not on the API's page, so the rows follow HTTP (RFC 9110) and the cautious reading
of money: an answer that could hide a finished picture is UNKNOWN, not NOT_PAID.

A success (2xx) is read in this order: an intact picture in any form is received; a 200 of the API's
own shape without one is useless; every other success may have been paid, and may be another
server's.
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

# Statuses that do not follow their hundred.
_SPECIAL: Final = {
    401: Meaning.BLOCKED,
    402: Meaning.BLOCKED,
    403: Meaning.BLOCKED,
    404: Meaning.NOT_THE_API,
    405: Meaning.NOT_THE_API,
    407: Meaning.NOT_THE_API,  # a proxy of ours wants a name; no request will fare better
    408: Meaning.UNKNOWN,
    429: Meaning.TOO_FAST,
    502: Meaning.UNKNOWN,
    503: Meaning.TOO_FAST,
    504: Meaning.UNKNOWN,
    # A CDN's own statuses: it gave up on an origin that may have gone on (Cloudflare, 520-527).
    **dict.fromkeys(range(520, 528), Meaning.UNKNOWN),
}
_BY_HUNDRED: Final = {
    1: Meaning.UNKNOWN,  # a preliminary answer: the real one may still have been made
    3: Meaning.NOT_THE_API,
    4: Meaning.REFUSED,
    5: Meaning.NOT_PAID,
}
_OK: Final = 200
SUCCESSES: Final = range(200, 300)
_MAX_REFUSABLE: Final = (400, 500)


def judge(outcome: Answer | BaseException) -> Verdict:
    """Say what a call came to.

    Args:
        outcome: the whole answer, or the exception that took its place.

    Returns:
        A verdict; it never raises. Of an exception that this room does not know, nothing can be
        known about the money either.
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
            return _in_hand(found.images, found.faults)
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
        retry_after_s(answer.headers),
    )


def _of_success(answer: Answer) -> Verdict:
    """Judge a 2xx: quickly if it is as the page says, then by whatever it holds."""
    images = _as_promised(answer.body)
    if images:
        return _in_hand(images)
    found = find_images(answer.body)
    if found.images:
        return _in_hand(found.images, found.faults)
    return _of_no_images(answer, found)


def _as_promised(body: bytes) -> list[Png]:
    """Return the pictures of a tidy answer; none unless all of its images are intact."""
    try:
        image = lone_image(body)
        if image is not None:
            return [check_png(image)]
        encoded = orjson.loads(body)["images"]
        return [check_png(pybase64.b64decode(text, validate=True)) for text in encoded]
    except (PngDamaged, ValueError, TypeError, LookupError):
        return []


def _in_hand(images: Sequence[Png], faults: Sequence[tuple[str, str]] = ()) -> Verdict:
    spoilt = f", {len(faults)} damaged ({faults[0][1]})" if faults else ""
    return Verdict(Meaning.IN_HAND, "OK", f"{len(images)} image(s){spoilt}", None, tuple(images))


def _of_no_images(answer: Answer, found: Found) -> Verdict:
    """Tell the API's own answer from another server's."""
    code, message = code_and_message(answer.body)
    if answer.status == _OK:
        if found.is_object and code == PROMPT_UNSAFE:
            return Verdict(Meaning.REFUSED, PROMPT_UNSAFE, message)
        if found.faults:
            return Verdict(Meaning.USELESS, *found.faults[0])
        if found.has_images_field and not found.is_object:
            return Verdict(Meaning.USELESS, "BAD_JSON", "the answer's JSON is damaged or cut short")
        # What is cut off before its words are read has none to tell it by.
        is_error = found.is_object and len(answer.body) <= MAX_BODY_BYTES and bool(code or message)
        if found.has_images_field or is_error:
            return Verdict(Meaning.USELESS, "NO_IMAGES", message or "the answer carries no images")
    name = "NO_PICTURE" if answer.status == _OK else f"HTTP_{answer.status}"
    words = message or f"HTTP status {answer.status} without a picture"
    return Verdict(Meaning.UNKNOWN, name, words, is_foreign=True)

"""What an answer means: one total function from whatever came back to one verdict.

Every status, every body and every exception has a row; nothing here raises. The statuses besides
200 and 400 are not on the API's page, so the rows follow HTTP (RFC 9110) and the cautious reading
of money: an answer that could hide a finished picture is UNKNOWN, not NOT_PAID.
"""

import re
from typing import Final

import orjson
import pybase64

from playground.errors import (
    AnswerTooLarge,
    CallFailed,
    NotSent,
    OutcomeUnknown,
    PngDamaged,
)
from playground.lone_image import lone_image
from playground.png import Png, check_png
from playground.retry_after import header, retry_after_s
from playground.verdict import Answer, Meaning, Verdict
from playground.vocabulary import PROMPT_UNSAFE
from playground.wording import code_and_message, plain

_DATA_URL: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)

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
    2: Meaning.NOT_THE_API,
    3: Meaning.NOT_THE_API,
    4: Meaning.REFUSED,
    5: Meaning.NOT_PAID,
}
_OK: Final = 200
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
    if outcome.status == _OK:
        return _of_ok(outcome)
    return _of_failure(outcome)


def _of_exception(error: BaseException) -> Verdict:
    if isinstance(error, AnswerTooLarge):
        return Verdict(Meaning.USELESS, "ANSWER_TOO_LARGE", plain(str(error)))
    if isinstance(error, NotSent):
        return Verdict(Meaning.NOT_PAID, error.code, plain(error.message))
    if isinstance(error, OutcomeUnknown | CallFailed):
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


def _of_ok(answer: Answer) -> Verdict:
    image = lone_image(answer.body)
    if image is not None:
        return _of_images([image])
    try:
        parsed = orjson.loads(answer.body)
    except ValueError:
        return _of_no_json(answer)
    encoded = parsed.get("images") if isinstance(parsed, dict) else None
    if not isinstance(encoded, list) or not encoded:
        return _of_no_images(answer.body)
    return _of_images(encoded)


def _of_images(encoded: list[object]) -> Verdict:
    """Judge an answer by its images, in base64 or decoded already."""
    images, faults = _decoded(encoded)
    if not images:
        return Verdict(Meaning.USELESS, *faults[0])
    spoilt = f", {len(faults)} damaged ({faults[0][1]})" if faults else ""
    return Verdict(Meaning.IN_HAND, "OK", f"{len(images)} image(s){spoilt}", None, tuple(images))


def _of_no_json(answer: Answer) -> Verdict:
    """Tell the API's own answer, cut off, from somebody else's page."""
    says_json = "json" in header(answer.headers, "content-type").lower()
    if says_json and answer.body[:64].lstrip().startswith(b"{"):
        return Verdict(Meaning.USELESS, "BAD_JSON", "the answer's JSON is damaged or cut short")
    _, message = code_and_message(answer.body)
    return Verdict(Meaning.NOT_THE_API, "NOT_JSON", message or "an empty answer with status 200")


def _of_no_images(body: bytes) -> Verdict:
    code, message = code_and_message(body)
    if code == PROMPT_UNSAFE:
        return Verdict(Meaning.REFUSED, PROMPT_UNSAFE, message)
    return Verdict(Meaning.USELESS, "NO_IMAGES", message or "the answer carries no images")


def _decoded(encoded: list[object]) -> tuple[list[Png], list[tuple[str, str]]]:
    """Sort an answer's images into whole ones and what is wrong with the others."""
    images: list[Png] = []
    faults: list[tuple[str, str]] = []
    for text in encoded:
        try:
            images.append(check_png(_base64(text)))
        except PngDamaged as error:
            faults.append(("PNG_DAMAGED", str(error)))
        except ValueError:
            faults.append(("BAD_BASE64", "an image is not strict base64"))
    return images, faults


def _base64(text: object) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise ValueError(type(text).__name__)  # noqa: TRY004 - one except clause for all that is not base64
    head = _DATA_URL.match(text[:256])
    return pybase64.b64decode(text[head.end() :] if head else text, validate=True)

"""Carry out the faults that `fault_book.py` chooses.

Each kind that answers is a function from the rule (and the picture, if there is one) to an answer.
The kinds that misuse the connection itself come last.
"""

import asyncio
from collections.abc import Callable

from simulator.answers import Answer, Finished, Receive, Send, error, images, send
from simulator.faults.fault_book import FaultRule
from simulator.faults.untidy import untidy
from simulator.png import flip_bit, truncate
from simulator.wire import Scope, reset, send_half_then_reset, trickle, until_gone

__all__ = ["answer_instead", "spoil"]

HTML = "text/html; charset=utf-8"
PAGE = b"<!doctype html><title>Just a moment...</title><p>Checking your browser.</p>"


def _status(rule: FaultRule) -> Answer:
    headers = (("retry-after", rule.retry_after),) if rule.retry_after is not None else ()
    code = rule.code or f"SIMULATED_{rule.status}"
    return error(rule.status, code, f"A simulated answer {rule.status}.", headers=headers)


def _redirect(rule: FaultRule) -> Answer:
    return Answer(rule.status, b"", HTML, (("location", rule.location),))


INSTEAD: dict[str, Callable[[FaultRule], Answer]] = {
    "status": _status,
    "redirect": _redirect,
    "html": lambda _: Answer(200, PAGE, HTML),
    "refusal": lambda _: error(400, "PROMPT_UNSAFE", "The prompt was rejected (simulated)."),
    "not_json": lambda _: Answer(200, b'{"images": [oops'),
}


def answer_instead(rule: FaultRule) -> Answer:
    """Return the answer that is sent instead of doing the work."""
    return INSTEAD[rule.kind](rule)


def _bad_base64(png: bytes) -> Answer:
    good = images(png).body
    at = len(good) // 2
    return Answer(200, good[:at] + b"!*" + good[at + 2 :])


SPOILT: dict[str, Callable[[bytes], Answer]] = {
    "empty_images": lambda _: Answer(200, b'{"images":[]}'),
    "bad_base64": _bad_base64,
    "truncated_png": lambda png: images(truncate(png)),
    "flipped_bit": lambda png: images(flip_bit(png)),
}


async def spoil(
    rule: FaultRule, finished: Finished, scope: Scope, receive: Receive, out: Send
) -> None:
    """Deliver a finished picture with a fault.

    Args:
        rule: A rule of the moment "work".
        finished: The picture that was paid for.
        scope: The call's ASGI scope.
        receive: The call's ASGI receive.
        out: The call's ASGI send.
    """
    await asyncio.sleep(rule.after_s)
    if rule.kind in SPOILT:
        await send(SPOILT[rule.kind](finished.png), out)
    elif rule.kind == "reset_after":
        await reset(scope, receive)
    elif rule.kind == "reset_midway":
        await send_half_then_reset(finished.answer, scope, receive, out)
    elif rule.kind == "trickle":
        await trickle(finished.answer, bytes_per_s=rule.bytes_per_s, receive=receive, out=out)
    elif rule.kind == "empty":
        await send(Answer(rule.status, b""), out)
    elif rule.kind == "untidy":
        await send(untidy(finished.png, rule.form, rule.hits), out)
    elif rule.kind == "oversized":
        await send(Answer(200, b'{"images":["' + b"A" * rule.size_bytes + b'"]}'), out)
    else:
        await until_gone(receive)  # hang

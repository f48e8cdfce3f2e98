"""Word a broken rule: the field, the value as received (shortened), the rule.

pydantic finds most faults but words them for programmers. This is the one place where its errors
become messages for users; the rules themselves are in `request.py`.
"""

import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from pydantic_core import ErrorDetails, PydanticCustomError

from playground.errors import Fault
from playground.request import vocabulary as words

MAX_VALUE_CHARS: Final = 80
MAX_INIT_IMAGE_CHARS: Final = 16
_MAX_SHOWN_BITS: Final = 128
_OWN_RULE: Final = "house_rule"
_SECRET_WORDS: Final = ("key", "token", "secret", "password", "auth")

_SIDE: Final = f"a whole number from {words.MIN_SIDE_PX} to {words.INT32_MAX} (pixels)"
_TEXT: Final = "text without NUL characters or lone surrogates"

# What each field must be, as a full rule that fits any fault of the value.
RULES: Final[Mapping[str, str]] = {
    "prompt": f"given, as {_TEXT}, and not blank",
    "negative_prompt": _TEXT,
    "filter_model": f"one of {', '.join(words.MODELS)}",
    "width": _SIDE,
    "height": _SIDE,
    "num_inference_steps": f"a whole number from {words.MIN_STEPS} to {words.MAX_STEPS}",
    "guidance_scale": f"a whole number from {words.INT32_MIN} to {words.INT32_MAX}",
    "scheduler": f"one of {', '.join(words.SCHEDULERS)}",
    "seed": f"a whole number from {words.MIN_SEED} to {words.MAX_SEED}",
    "init_image": "an image, as base64 text",
    "strength": 'a number from 0 to 1, or such a number as plain decimal text ("0.35")',
    "expand_prompt": "true or false",
    "verify_prompt_safety": "true or false",
    "prompt_rejection_topics": f"a list of topics, each {_TEXT}, and not blank",
    "prompt_filter": f"one of {', '.join(words.PROMPT_FILTERS)}",
}


def broken(rule: str) -> PydanticCustomError:
    """Make the error a validator raises when it can be more specific than the field's rule."""
    return PydanticCustomError(_OWN_RULE, "{rule}", {"rule": rule})


def faults_of(errors: Iterable[ErrorDetails]) -> list[Fault]:
    """Translate pydantic's errors into faults, one per error."""
    return [_fault_of(error) for error in errors]


def unknown_key(key: object, value: object) -> Fault:
    """Report a key that the API does not have, with a similar one if there is one."""
    near = get_close_matches(key, RULES, n=1) if isinstance(key, str) else []
    hint = f" (did you mean {near[0]}?)" if near else ""
    name = key if isinstance(key, str) and key.isprintable() else shown(key)
    secret = any(word in name.lower() for word in _SECRET_WORDS)
    return Fault(
        _cut(name, MAX_VALUE_CHARS),
        "(not shown)" if secret else shown(value),
        f"left out: the API has no such parameter{hint}",
    )


def shown(value: object) -> str:
    """Write a value of any type and size in at most 80 characters."""
    if isinstance(value, int) and value.bit_length() > _MAX_SHOWN_BITS:
        return f"<a whole number of {value.bit_length()} bits>"
    if isinstance(value, str):
        cut = _cut(value, MAX_VALUE_CHARS)
        return _cut(repr(cut), MAX_VALUE_CHARS)
    try:
        return _cut(_REPR.repr(value), MAX_VALUE_CHARS)
    except Exception:  # noqa: BLE001 - a foreign __repr__ may raise anything; the fault is still reported
        return f"<{type(value).__name__}>"


def _fault_of(error: ErrorDetails) -> Fault:
    name, *path = error["loc"] or ("request",)
    field = str(name) + "".join(f"[{index}]" for index in path)
    if error["type"] == _OWN_RULE:
        rule = str(error["ctx"]["rule"])
    else:
        rule = RULES.get(str(name), "a valid value")
    return Fault(field, _shown_of(str(name), error), rule)


def _shown_of(name: str, error: ErrorDetails) -> str:
    value = error["input"]
    if error["type"] == "missing":
        return "(not given)"
    if name == "init_image" and isinstance(value, str):
        return f"{_cut(value, MAX_INIT_IMAGE_CHARS)!r} ({len(value)} characters)"
    return shown(value)


def _cut(text: str, limit_chars: int) -> str:
    return text if len(text) <= limit_chars else text[: limit_chars - 1] + "…"


def _short_repr() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxother = short.maxstring = MAX_VALUE_CHARS
    return short


_REPR: Final = _short_repr()

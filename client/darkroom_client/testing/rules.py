"""Apply a short form of the gateway's rules, so that a test notices a broken one.

The gateway's own rules and messages are more complete; the contract test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

_INT32 = 2**31
_SIDE_STEP_PX = 32
_LATEST_MODEL = "Playground_v3"
_DECIMAL = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)")

Rule = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _filled(value: Any) -> bool:
    return _text(value) and bool(value.strip())


def _whole(least: int, most: int) -> Rule:
    return lambda value: type(value) is int and least <= value <= most


def _number(least: float, most: float) -> Rule:
    return lambda value: type(value) in {int, float} and least <= value <= most


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _strength(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_DECIMAL.fullmatch(value)) and float(value) <= 1
    return _number(0, 1)(value)


def _topics(value: Any) -> bool:
    return isinstance(value, list) and all(map(_filled, value))


def _web_address(value: Any) -> bool:
    parts = urlsplit(value) if isinstance(value, str) else None
    return parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)


_REQUEST: Mapping[str, Rule] = {
    "prompt": _filled,
    "negative_prompt": _text,
    "filter_model": _filled,
    "width": _whole(1, _INT32 - 1),
    "height": _whole(1, _INT32 - 1),
    "num_inference_steps": _whole(1, 150),
    "guidance_scale": _whole(-_INT32, _INT32 - 1),
    "scheduler": _filled,
    "seed": _whole(1, 65535),
    "init_image": _filled,
    "strength": _strength,
    "expand_prompt": _switch,
    "verify_prompt_safety": _switch,
    "prompt_rejection_topics": _topics,
    "prompt_filter": _filled,
}
_OPTIONS: Mapping[str, Rule] = {
    "priority": _whole(-100, 100),
    "metadata": lambda value: isinstance(value, dict),
    "expires_in_s": lambda value: value != 0 and _number(0, 30 * 86400)(value),
    "callback_url": lambda value: value is None or _web_address(value),
    "on_end": lambda value: isinstance(value, dict) and value.keys() == {"task", "queue"},
    "reuse": _switch,
}


def faults_in(request: Any, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a job's faults, in the form of a problem document's `faults`."""
    if not isinstance(request, dict):
        return [_fault("request", request, "a JSON object of parameters")]
    given = {"prompt": None, **request}
    found = [*_broken(_REQUEST, given), *_broken(_OPTIONS, options)]
    model = given.get("filter_model", _LATEST_MODEL)
    for side in ("width", "height"):
        px = given.get(side)
        if model == _LATEST_MODEL and type(px) is int and px > 0 and px % _SIDE_STEP_PX:
            found.append(_fault(side, px, f"a multiple of {_SIDE_STEP_PX} with {_LATEST_MODEL}"))
    return found


def _broken(rules: Mapping[str, Rule], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _fault(name, value, "a value that the gateway takes" if name in rules else "left out")
        for name, value in given.items()
        if name not in rules or not rules[name](value)
    ]


def _fault(field: str, value: object, rule: str) -> dict[str, Any]:
    return {"field": field, "value": repr(value)[:80], "rule": rule}

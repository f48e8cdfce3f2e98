"""Read a request as the API's reference page describes it, and report every rule it breaks.

Written from the page alone. Where the page gives no rule, the simulator is lenient (unknown keys
are ignored, null means unset). It refuses only what cannot be executed: sizes and steps below one,
and pictures larger than this process paints.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.errors import Broken, RequestBroken
from simulator.request.vocabulary import (
    DEFAULT_SCHEDULER,
    FILTERS,
    LATEST_MODEL,
    MODELS,
    SCHEDULERS,
)

__all__ = ["ImageCall", "read_request"]

INT32 = range(-(2**31), 2**31)
SEEDS = range(1, 2**16)  # page: 0 < seed < 2^16
MAX_STEPS = 150  # page
V3_MULTIPLE_PX = 32  # page: "For Playground v3, width and height must be divisible by 32"
MAX_SIDE_PX = 4096  # the simulator's limit on what it paints
DEFAULT_STRENGTH = 0.7  # the simulator's choice: the page gives none


@dataclass(frozen=True, slots=True)
class ImageCall:
    """A request that breaks no rule, with the page's defaults filled in.

    Sizes are in pixels; `strength` is 0 (the first picture again) to 1 (completely new).
    """

    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    guidance: int
    scheduler: str
    seed: int | None
    init_image: bytes | None
    strength: float
    expand_prompt: bool
    verify_prompt_safety: bool
    rejection_topics: tuple[str, ...]
    prompt_filter: str | None


class _Reader:
    """Reads the fields of a body one by one and collects the rules they break."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.broken: list[Broken] = []

    def breaks(self, field: str, rule: str) -> None:
        self.broken.append(Broken(field, rule))

    def text(self, field: str, default: str = "") -> str:
        value = self.body.get(field)
        if value is None:
            return default
        if not isinstance(value, str):
            self.breaks(field, "must be a string")
            return default
        return value

    def whole(self, field: str, default: int) -> int:
        value = self.body.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or value not in INT32:
            self.breaks(field, "must be an int32")
            return default
        return value

    def yes_no(self, field: str) -> bool:
        value = self.body.get(field)
        if value is not None and not isinstance(value, bool):
            self.breaks(field, "must be true or false")
        return value is True

    def one_of(self, field: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.body.get(field)
        if value is None:
            return default
        if not isinstance(value, str) or value not in allowed:
            self.breaks(field, f"must be one of {', '.join(allowed)}")
            return default
        return value

    def prompt(self) -> str:
        value = self.text("prompt")
        if not value.strip() and not any(one.field == "prompt" for one in self.broken):
            self.breaks("prompt", "is required")
        return value

    def side(self, field: str, *, v3: bool) -> int:
        value = self.whole(field, 1024)
        if value < 1:
            self.breaks(field, "must be at least 1")
        elif v3 and value % V3_MULTIPLE_PX:
            self.breaks(field, f"must be divisible by {V3_MULTIPLE_PX} for Playground_v3")
        elif value > MAX_SIDE_PX:
            self.breaks(field, f"is more than the {MAX_SIDE_PX} this simulator paints")
        return value

    def steps(self) -> int:
        value = self.whole("num_inference_steps", 50)
        if not 1 <= value <= MAX_STEPS:
            self.breaks("num_inference_steps", f"must be between 1 and {MAX_STEPS}")
        return value

    def seed(self) -> int | None:
        if self.body.get("seed") is None:
            return None
        value = self.whole("seed", 1)
        if value not in SEEDS:
            self.breaks("seed", "must be above 0 and below 65536")
        return value

    def first_image(self) -> bytes | None:
        value = self.text("init_image")
        if not value:
            return None
        try:
            return binascii.a2b_base64("".join(value.split()), strict_mode=True)
        except (binascii.Error, ValueError):
            self.breaks("init_image", "is not base64")
            return None

    def strength(self) -> float:
        value = self.text("strength")
        if not value:
            return DEFAULT_STRENGTH
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0.0 <= number <= 1.0:
            self.breaks("strength", 'must be a string that holds a number from "0" to "1"')
        return number

    def topics(self) -> tuple[str, ...]:
        value = self.body.get("prompt_rejection_topics")
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(topic, str) for topic in value):
            self.breaks("prompt_rejection_topics", "must be an array of strings")
            return ()
        return tuple(value)


def read_request(body: object) -> ImageCall:
    """Turn a decoded JSON body into a request.

    Args:
        body: The decoded JSON.

    Returns:
        The request with the page's defaults.

    Raises:
        RequestBroken: It names every rule that is broken, not just the first.
    """
    if not isinstance(body, dict):
        raise RequestBroken([Broken("body", "must be a JSON object")])
    reader = _Reader(body)
    model = reader.one_of("filter_model", MODELS, LATEST_MODEL)
    v3 = model == "Playground_v3"
    call = ImageCall(
        prompt=reader.prompt(),
        negative_prompt=reader.text("negative_prompt"),
        model=model,
        width=reader.side("width", v3=v3),
        height=reader.side("height", v3=v3),
        steps=reader.steps(),
        guidance=reader.whole("guidance_scale", 3 if model == "Playground_v2.5" else 7),
        scheduler=reader.one_of("scheduler", SCHEDULERS, DEFAULT_SCHEDULER),
        seed=reader.seed(),
        init_image=reader.first_image(),
        strength=reader.strength(),
        expand_prompt=reader.yes_no("expand_prompt"),
        verify_prompt_safety=reader.yes_no("verify_prompt_safety"),
        rejection_topics=reader.topics(),
        prompt_filter=reader.one_of("prompt_filter", FILTERS, "") or None,
    )
    if reader.broken:
        raise RequestBroken(reader.broken)
    return call

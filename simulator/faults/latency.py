"""Compute how long a call takes: work grows with steps and pixels, as on a real GPU.

At scale 1.0 the default picture (1024x1024, 50 steps) takes 5 to 15 s; the safety check adds up to
half a second (the page's own figure). A test can set a fixed range instead of the formula.
"""

import random
from dataclasses import dataclass, field

from simulator.errors import ControlRefused
from simulator.request.rules import ImageCall

__all__ = ["Latency"]

BASE_S = 0.5
DEFAULT_WORK_S = 9.5  # with BASE_S: 10 s in the middle of 5-15 s
DEFAULT_STEP_PIXELS = 50 * 1024 * 1024
SPREAD = 0.5
SAFETY_S = 0.5  # page: "may add up to 500ms of latency"
MAX_S = 3600.0


@dataclass(slots=True)
class Latency:
    """Turns a request into seconds to wait.

    Attributes:
        scale: Factor on everything; 0 answers at once.
        range_s: Lowest and highest seconds a call takes, instead of the formula, or None.
    """

    scale: float = 1.0
    range_s: tuple[float, float] | None = None
    _dice: random.Random = field(default_factory=lambda: random.Random(20))  # noqa: S311 -- not a secret

    def __post_init__(self) -> None:
        low, high = self.range_s or (0.0, 0.0)
        if not (0.0 <= self.scale <= MAX_S and 0.0 <= low <= high <= MAX_S):
            raise ControlRefused("latency must be 0 or more, and a range must go from low to high")

    def work_s(self, call: ImageCall) -> float:
        """Return the seconds the picture takes."""
        if self.range_s is not None:
            return self._dice.uniform(*self.range_s)
        share = call.steps * call.width * call.height / DEFAULT_STEP_PIXELS
        jitter = self._dice.uniform(1 - SPREAD, 1 + SPREAD)
        return self.scale * jitter * (BASE_S + DEFAULT_WORK_S * share)

    def safety_s(self, call: ImageCall) -> float:
        """Return the seconds the safety check takes."""
        if not (call.verify_prompt_safety or call.rejection_topics):
            return 0.0
        return self.scale * self._dice.uniform(0.1, SAFETY_S)

    def report(self) -> dict[str, object]:
        """Return the latency as the control route shows it."""
        return {"scale": self.scale, "range_s": self.range_s}

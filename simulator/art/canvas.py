"""The canvas of a scene: size, coordinates, random numbers, colours and level of detail."""

from dataclasses import dataclass

import numpy as np

from simulator.art.noise import Field, Picture, fbm
from simulator.art.palettes import Palette

__all__ = ["Canvas"]


@dataclass(frozen=True, slots=True)
class Canvas:
    """One picture to be painted.

    Attributes:
        width: In pixels.
        height: In pixels.
        rng: The random generator of the composition; the same request gives the same numbers.
        palette: The colours to use.
        detail: 0 (a sketch) to 1 (150 steps).
        words: The prompt's words, lower case.
    """

    width: int
    height: int
    rng: np.random.Generator
    palette: Palette
    detail: float
    words: frozenset[str]

    @property
    def x(self) -> Field:
        """Return x, 1 x width: 0 in the middle, the short side spans -1 to 1."""
        return self._axis(self.width)[None, :]

    @property
    def y(self) -> Field:
        """Return y, height x 1: 0 in the middle, the short side spans -1 to 1."""
        return self._axis(self.height)[:, None]

    @property
    def pixel(self) -> float:
        """Return the size of a pixel in those coordinates."""
        return 2.0 / min(self.width, self.height)

    @property
    def left(self) -> float:
        """Return the left edge's x; the right edge's is its opposite."""
        return -self.width / min(self.width, self.height)

    @property
    def top(self) -> float:
        """Return the upper edge's y; the lower edge's is its opposite."""
        return -self.height / min(self.width, self.height)

    def _axis(self, count: int) -> Field:
        short = min(self.width, self.height)
        return ((np.arange(count, dtype=np.float32) + 0.5 - count / 2) * 2 / short).astype(
            np.float32
        )

    @property
    def finer(self) -> int:
        """Return the octaves to add for the requested detail, 0 to 2."""
        return round(self.detail * 2)

    def clouds(self, cells: float, octaves: int = 4) -> Field:
        """Return noise over the whole canvas."""
        return fbm(self.rng, self.width, self.height, cells, octaves + self.finer)

    def blank(self, colour: Field) -> Picture:
        """Return a canvas of one colour."""
        return np.broadcast_to(colour, (self.height, self.width, 3)).astype(np.float32)

    def down(self, first: float, last: float, middle: float | None = None) -> Picture:
        """Return a vertical gradient of palette positions, from the upper to the lower edge."""
        stops = [first, last] if middle is None else [first, middle, last]
        rows = np.interp(np.linspace(0, 1, self.height), np.linspace(0, 1, len(stops)), stops)
        column = self.palette.ramp(rows.astype(np.float32))[:, None, :]
        return np.broadcast_to(column, (self.height, self.width, 3)).astype(np.float32)

    def chance(self, share: float) -> bool:
        """Return true in `share` of all cases, at random."""
        return bool(self.rng.random() < share)

    def asked(self, *words: str) -> bool:
        """Return whether the prompt contains one of these words, singular or plural."""
        return any(word in self.words or f"{word}s" in self.words for word in words)

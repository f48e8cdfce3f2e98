"""What a scene paints on: size, coordinates, dice, colours and how much detail is wanted."""

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
        rng: The dice of the composition; the same request throws the same.
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
        """Across, 1 x width: 0 in the middle, the short side spans -1 to 1."""
        return self._axis(self.width)[None, :]

    @property
    def y(self) -> Field:
        """Down, height x 1: 0 in the middle, the short side spans -1 to 1."""
        return self._axis(self.height)[:, None]

    @property
    def pixel(self) -> float:
        """The size of a pixel in those coordinates."""
        return 2.0 / min(self.width, self.height)

    @property
    def left(self) -> float:
        """The left edge's x; the right edge's is its opposite."""
        return -self.width / min(self.width, self.height)

    @property
    def top(self) -> float:
        """The upper edge's y; the lower edge's is its opposite."""
        return -self.height / min(self.width, self.height)

    def _axis(self, count: int) -> Field:
        short = min(self.width, self.height)
        return ((np.arange(count, dtype=np.float32) + 0.5 - count / 2) * 2 / short).astype(
            np.float32
        )

    @property
    def finer(self) -> int:
        """Octaves to add for the detail asked for, 0 to 2."""
        return round(self.detail * 2)

    def clouds(self, cells: float, octaves: int = 4, gain: float = 0.5) -> Field:
        """Noise over the whole canvas."""
        return fbm(self.rng, self.width, self.height, cells, octaves + self.finer, gain=gain)

    def blank(self, colour: Field) -> Picture:
        """A canvas of one colour."""
        return np.broadcast_to(colour, (self.height, self.width, 3)).astype(np.float32)

    def down(self, first: float, last: float, middle: float | None = None) -> Picture:
        """A vertical run of palette places, from the upper edge's to the lower edge's."""
        stops = [first, last] if middle is None else [first, middle, last]
        rows = np.interp(np.linspace(0, 1, self.height), np.linspace(0, 1, len(stops)), stops)
        column = self.palette.ramp(rows.astype(np.float32))[:, None, :]
        return np.broadcast_to(column, (self.height, self.width, 3)).astype(np.float32)

    def chance(self, share: float) -> bool:
        """Throws the dice: true in `share` of all cases."""
        return bool(self.rng.random() < share)

    def asked(self, *words: str) -> bool:
        """Tells whether the prompt holds one of these words, singular or plural."""
        return any(word in self.words or f"{word}s" in self.words for word in words)

"""Smooth random fields, the raw stuff of every picture here.

A field is made on a coarse grid and enlarged by Pillow's bicubic filter, which costs a few
milliseconds a megapixel; octaves are summed at the size the finest of them needs, then enlarged
once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Field", "Picture", "between", "enlarge", "fbm", "mix", "ridge_line", "step_up"]

Field = NDArray[np.floating[Any]]
"""height x width numbers."""
Picture = NDArray[np.floating[Any]]
"""height x width x 3 numbers, 0 to 1, sRGB."""

FINE_PX = 4  # pixels a cell of the finest octave is drawn with before enlarging


def enlarge(field: Field, width: int, height: int) -> Field:
    """Resize a field smoothly."""
    if field.shape == (height, width):
        return field
    small = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def value_noise(rng: np.random.Generator, width: int, height: int, cells: float) -> Field:
    """Return smooth noise with about `cells` bumps along the short side, roughly 0 to 1."""
    short = min(width, height)
    columns = max(2, round(cells * width / short) + 1)
    rows = max(2, round(cells * height / short) + 1)
    return enlarge(rng.random((rows, columns), np.float32), width, height)


def fbm(
    rng: np.random.Generator,
    width: int,
    height: int,
    cells: float,
    octaves: int,
    *,
    gain: float = 0.5,
) -> Field:
    """Cloud-like noise: octaves, each twice as fine and `gain` times as strong; spans 0 to 1."""
    short = min(width, height)
    finest = cells * 2 ** (octaves - 1)
    scale = min(1.0, FINE_PX * finest / short)
    w, h = max(2, round(width * scale)), max(2, round(height * scale))
    total = np.zeros((h, w), np.float32)
    for octave in range(octaves):
        total += np.float32(gain**octave) * value_noise(rng, w, h, cells * 2**octave)
    low, high = float(total.min()), float(total.max())
    total -= np.float32(low)
    total /= np.float32(max(high - low, 1e-6))
    return np.clip(enlarge(total, width, height), 0, 1)  # bicubic enlarging overshoots a little


def ridge_line(rng: np.random.Generator, width: int, cells: float, octaves: int) -> Field:
    """Return a wandering line over the width, 0 to 1, as a 1 x width field."""
    line = np.zeros(width, np.float32)
    at = np.linspace(0.0, 1.0, width, dtype=np.float32)
    for octave in range(octaves):
        knots = max(2, round(cells * 2**octave) + 1)
        heights = rng.random(knots)
        line += np.float32(0.5**octave) * np.interp(at, np.linspace(0, 1, knots), heights).astype(
            np.float32
        )
    line -= line.min()
    return (line / max(float(line.max()), 1e-6))[None, :]


def step_up(value: Field, low: float, high: float) -> Field:
    """Rise smoothly from 0 to 1 as the value goes from low to high."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Field = t * t * (3 - 2 * t)
    return smooth


def mix(under: Picture, over: Picture, share: Field) -> None:
    """Lay a colour or picture over another in place; `share` is 0 to 1 a pixel."""
    under += (over - under) * share[..., None]


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a random number from low to high."""
    return float(rng.uniform(low, high))

"""One blossom, petal ring upon petal ring, before a blurred garden."""

import numpy as np
from numpy.typing import NDArray

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix, step_up

__all__ = ["flower"]

RINGS = 6


def _garden(canvas: Canvas) -> Picture:
    """Out-of-focus light behind the flower."""
    picture = canvas.palette.ramp((canvas.clouds(1.6, 2) * 0.4 + 0.02).astype(np.float32))
    for _ in range(14):
        x, y = (
            between(canvas.rng, canvas.left, -canvas.left),
            between(canvas.rng, canvas.top, -canvas.top),
        )
        radius = between(canvas.rng, 0.06, 0.22)
        first = np.maximum(
            0, (np.array([y - radius, x - radius]) - [canvas.top, canvas.left]) / canvas.pixel
        )
        last = (np.array([y + radius, x + radius]) - [canvas.top, canvas.left]) / canvas.pixel + 1
        rows, columns = (
            slice(int(first[0]), max(0, int(last[0]))),
            slice(int(first[1]), max(0, int(last[1]))),
        )
        away = np.sqrt((canvas.x[:, columns] - x) ** 2 + (canvas.y[rows] - y) ** 2)
        soft = 1 - step_up(away.astype(np.float32), radius * 0.8, radius)
        colour = canvas.palette.at(between(canvas.rng, 0.3, 0.8))
        mix(picture[rows, columns], colour, soft * np.float32(between(canvas.rng, 0.08, 0.3)))
    return picture


def _ring(
    canvas: Canvas, picture: Picture, polar: tuple[Field, Field], inward: float, petals: int
) -> None:
    """Draw one ring of petals; `inward` goes from 0 (outermost) to 1."""
    away, angle = polar
    turn = between(canvas.rng, 0, 6.28)
    around = np.abs(
        np.cos(angle * np.float32(petals / 2) + np.float32(turn) + away * np.float32(0.6))
    )
    length = (0.95 - 0.72 * inward) * (0.55 + 0.45 * around ** np.float32(0.45))
    inside = (length - away) / np.float32(canvas.pixel * 1.5)
    shade = 0.35 + 0.6 * np.clip(away / length, 0, 1) ** 1.4
    veins = 0.05 * np.sin(angle * np.float32(petals * 11)) * around
    crease = (1 - around) ** 2 * 0.35
    tone = np.clip(shade * (0.72 + 0.33 * inward) + veins - crease, 0, 1)
    shadow = np.clip(1 - (away - length) / np.float32(0.1), 0, 1) ** 2 * np.float32(0.5)
    mix(picture, canvas.palette.at(0.04), shadow.astype(np.float32))
    mix(picture, canvas.palette.ramp(tone.astype(np.float32)), np.clip(inside, 0, 1))


def _span(mask: NDArray[np.bool_]) -> slice:
    """Return the range from the first to the last true element."""
    places = np.flatnonzero(mask)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def flower(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    picture = _garden(canvas)
    x = canvas.x - np.float32(between(rng, -0.18, 0.18))
    y = canvas.y - np.float32(between(rng, -0.15, 0.15))
    wobble = (canvas.clouds(3, 2) - 0.5) * np.float32(0.1)
    away = np.sqrt(x * x + y * y) + wobble
    angle = np.arctan2(y, x) + wobble
    petals = int(rng.integers(5, 10))
    for number in range(RINGS):
        inward = number / (RINGS - 1)
        reach = np.float32(1.2 - 0.72 * inward)  # nothing of this ring lies farther out
        rows, columns = np.abs(y[:, 0]) < reach, np.abs(x[0]) < reach
        part = _span(rows), _span(columns)
        _ring(canvas, picture[part], (away[part], angle[part]), inward, petals)
    heart = 1 - step_up(away, 0.1, 0.13)
    seeds = 0.75 + 0.25 * np.sin(away * 190) * np.sin(angle * 21)
    mix(picture, canvas.palette.accent * np.float32(0.95), heart * seeds.astype(np.float32))
    return picture

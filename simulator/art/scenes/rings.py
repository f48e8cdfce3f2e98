"""Ink on paper: rings as in a tree or a raked garden, and one red seal of a sun."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, fbm, mix, step_up

__all__ = ["rings"]


def rings(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    fibres = fbm(canvas.rng, canvas.width, canvas.height, 90, 1)
    picture = canvas.palette.ramp((0.93 + 0.07 * fibres).astype(np.float32))
    bend = (canvas.clouds(2.2, 3) - 0.5) * np.float32(0.5)
    distance = np.full((canvas.height, canvas.width), 9, np.float32)
    for _ in range(int(rng.integers(2, 5))):
        x, y = (
            between(rng, canvas.left, -canvas.left) * 0.8,
            between(rng, canvas.top, -canvas.top) * 0.8,
        )
        away = np.sqrt((canvas.x - np.float32(x)) ** 2 + (canvas.y - np.float32(y)) ** 2)
        distance = np.minimum(distance, away)
    reach = distance + bend
    wave = np.sin(reach * np.float32(between(rng, 45, 75)))
    body = canvas.clouds(3, 3)
    width = 0.75 - 1.25 * body
    line = step_up(wave, 0.0, 0.25) if canvas.chance(0.2) else step_up(wave - width, 0.0, 0.3)
    dry = 0.7 + 0.3 * step_up(fibres, 0.25, 0.6)
    mix(picture, canvas.palette.at(0.05), (line * dry * 0.93).astype(np.float32))
    wash = np.clip(body * 1.8 - 0.9, 0, 0.55).astype(np.float32)
    mix(picture, canvas.palette.at(0.35), wash)
    x, y = between(rng, -0.5, 0.5), between(rng, -0.5, 0.5)
    sun = np.sqrt((canvas.x - np.float32(x)) ** 2 + (canvas.y - np.float32(y)) ** 2) + bend * 0.04
    seal = 1 - step_up(sun, 0.27, 0.275)
    mix(picture, canvas.palette.accent, seal * (0.8 + 0.2 * dry).astype(np.float32))
    return picture

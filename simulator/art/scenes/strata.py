"""Marble and agate: bent noise cut into bands, for prompts without known words."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, mix, step_up

__all__ = ["strata"]


def strata(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    bend = canvas.clouds(1.6, 4)
    swirl = canvas.clouds(2.4, 4)
    tilt = between(rng, -0.6, 0.6)
    field = bend * 2.2 + 0.55 * np.sin(swirl * 6 + canvas.x * tilt) + canvas.y * 0.3
    bands = field * np.float32(between(rng, 2.2, 3.6))
    place = bands % 1.0
    tone = np.floor(bands) * np.float32(0.381966) % 1.0
    picture = canvas.palette.ramp((0.12 + 0.8 * tone + 0.1 * (place - 0.5)).astype(np.float32))
    fine = np.sin(bands * np.float32(40)) * 0.04
    picture += fine[..., None].astype(np.float32)
    picture *= (0.72 + 0.28 * step_up(place.astype(np.float32), 0.0, 0.35))[..., None]
    gilt = step_up(np.abs(place - 0.5) * 2, 0.93, 0.98)
    mix(picture, canvas.palette.accent, gilt * np.float32(0.9))
    return picture

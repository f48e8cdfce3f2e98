"""Op art: a plain pattern that swells and turns until it seems to stand out of the paper."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, mix, step_up

__all__ = ["opart"]


def opart(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    u = canvas.x + canvas.y * 0
    v = canvas.y + canvas.x * 0
    relief = np.zeros_like(u)
    for _ in range(int(rng.integers(2, 5))):
        x, y = (
            between(rng, canvas.left, -canvas.left) * 0.7,
            between(rng, canvas.top, -canvas.top) * 0.7,
        )
        radius = np.float32(between(rng, 0.4, 0.8))
        dx, dy = u - np.float32(x), v - np.float32(y)
        away = np.sqrt(dx * dx + dy * dy) / radius
        swell = np.where(away < 1, 0.5 + 0.5 * np.cos(away * np.float32(np.pi)), 0).astype(
            np.float32
        )
        u -= dx * swell * np.float32(0.55)
        v -= dy * swell * np.float32(0.55)
        relief += swell
    pitch = np.float32(between(rng, 24, 38))
    tilt = np.float32(between(rng, 0, 3.14))
    along = u * np.cos(tilt) + v * np.sin(tilt)
    across = v * np.cos(tilt) - u * np.sin(tilt)
    kind = int(rng.integers(3))
    if kind == 0:
        wave = np.sin(along * pitch) * np.sin(across * pitch)
    elif kind == 1:
        wave = np.sin(along * pitch + np.sin(across * pitch * 0.25) * 1.6)
    else:
        wave = np.sin(
            np.sqrt(u * u + v * v) * pitch * 1.4 + np.arctan2(v, u) * int(rng.integers(1, 6))
        )
    ink = step_up(wave, -0.12, 0.12)
    picture = canvas.blank(canvas.palette.at(0.98))
    mix(picture, canvas.palette.at(0.03), ink)
    glow = np.clip(relief, 0, 1)
    picture *= (0.55 + 0.5 * glow)[..., None]
    mix(
        picture,
        canvas.palette.accent,
        (np.clip(relief - 0.75, 0, 1) * ink * 1.4).clip(0, 1).astype(np.float32),
    )
    return picture

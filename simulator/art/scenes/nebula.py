"""Clouds of light in deep space, with a planet now and then."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, enlarge, fbm, mix, step_up
from simulator.art.scenes.sky import stars

__all__ = ["nebula"]


def _warped(canvas: Canvas, cells: float) -> Field:
    """Noise bent by noise, at half size since it is smooth, then enlarged."""
    w, h = max(2, canvas.width // 2), max(2, canvas.height // 2)
    rng = canvas.rng
    base = fbm(rng, w, h, cells, 6, gain=0.55)
    bend = 0.35 * min(w, h)
    across, down = fbm(rng, w, h, 2, 4), fbm(rng, w, h, 2, 4)
    columns = (np.arange(w)[None, :] + (across - 0.5) * bend).astype(np.intp)
    rows = (np.arange(h)[:, None] + (down - 0.5) * bend).astype(np.intp)
    bent = base[np.clip(rows, 0, h - 1), np.clip(columns, 0, w - 1)]
    return np.clip(enlarge(bent, canvas.width, canvas.height), 0, 1)


def _planet(canvas: Canvas, picture: Picture) -> None:
    rng = canvas.rng
    radius = between(rng, 0.25, 0.5)
    x = (canvas.x - np.float32(between(rng, -0.5, 0.5))) / np.float32(radius)
    y = (canvas.y - np.float32(between(rng, -0.4, 0.4))) / np.float32(radius)
    away = np.sqrt(x * x + y * y)
    depth = np.sqrt(np.clip(1 - away * away, 0, 1))
    bands = np.sin(y * between(rng, 7, 14) + canvas.clouds(3, 4) * 5) * 0.16
    light = np.clip(-0.55 * x - 0.45 * y + 0.7 * depth, 0.02, 1)
    body = canvas.palette.ramp(((0.3 + 0.65 * light + bands) * light).astype(np.float32))
    mix(picture, canvas.palette.accent, (np.exp(-np.abs(away - 1) * 14) * 0.5).astype(np.float32))
    mix(picture, body, 1 - step_up(away, 1 - 0.01, 1))
    if canvas.chance(0.6) or canvas.asked("ring", "saturn"):
        ring = np.sqrt((x * 0.55 + y * 0.16) ** 2 + (y * 2.1 - x * 0.6) ** 2)
        grooves = 0.6 + 0.4 * np.sin(ring * 60)
        band = step_up(ring, 0.8, 0.84) * (1 - step_up(ring, 1.1, 1.14)) * grooves
        hidden = (away < 1) & (y * 2.1 - x * 0.6 < 0)
        mix(picture, canvas.palette.accent, np.where(hidden, 0, band * 0.8).astype(np.float32))


def nebula(canvas: Canvas) -> Picture:
    """Paint the scene."""
    gas = _warped(canvas, 2.5)
    dust = _warped(canvas, 3.5)
    light = np.clip(gas**2.2 * 1.3 - dust**2 * 0.55, 0, 1)
    picture = canvas.palette.ramp(light)
    picture *= (0.12 + 1.05 * light)[..., None]
    mix(
        picture,
        canvas.palette.accent,
        (np.clip(dust - 0.55, 0, 1) ** 1.5 * gas * 1.8).astype(np.float32),
    )
    stars(canvas, picture, 2600)
    if canvas.asked("planet", "moon", "saturn", "world") or canvas.chance(0.35):
        _planet(canvas, picture)
    return picture

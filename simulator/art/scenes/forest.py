"""Conifers in fog, tier behind tier, with light falling through."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix, ridge_line
from simulator.art.scenes.sky import paint_sky

__all__ = ["forest"]

TIERS = 6


def treetops(canvas: Canvas, near: float, ground: Field) -> Field:
    """Return the upper edge of a row of conifers standing on `ground` (1 x width)."""
    rng = canvas.rng
    count = int((64 - 34 * near) * canvas.width / min(canvas.width, canvas.height)) + 2
    tall = 0.17 + 0.5 * near**1.3
    edge = ground[0].copy()
    x = canvas.x[0]
    for _ in range(count):
        middle = between(rng, canvas.left, -canvas.left)
        height = tall * between(rng, 0.55, 1.25)
        spread = height * between(rng, 0.13, 0.2)
        first, last = np.searchsorted(x, [middle - spread, middle + spread])
        if first == last:
            continue
        away = np.abs(x[first:last] - np.float32(middle)) / np.float32(spread)
        teeth = 0.2 * ((away * between(rng, 4, 7)) % 1.0)
        foot = float(ground[0, (first + last) // 2]) if last < len(x) else float(ground[0, -1])
        top = foot - height * np.clip(1 - away + teeth * away, 0, 1)
        edge[first:last] = np.minimum(edge[first:last], top)
    top_edge: Field = edge[None, :].astype(np.float32)
    return top_edge


def forest(canvas: Canvas) -> Picture:
    """Paint the scene."""
    night = canvas.palette.night
    picture = paint_sky(canvas, horizon=-0.1)
    for number in range(TIERS):
        near = number / (TIERS - 1)
        hill = ridge_line(canvas.rng, canvas.width, 2, 8)
        ground = (-0.2 + 1.1 * near - 0.28 * hill).astype(np.float32)
        below = canvas.y - treetops(canvas, near, ground)
        trees = np.clip(below / np.float32(canvas.pixel), 0, 1)
        mix(picture, canvas.palette.at((0.42 if night else 0.68) * (1 - near) ** 1.1 + 0.05), trees)
        sunk = canvas.y - ground + np.float32(0.34 * (1 - near) + 0.1)
        fog = np.clip(sunk * np.float32(2.2), 0, 1) * np.float32(0.9 * (1 - near) + 0.16)
        mix(picture, canvas.palette.at(0.5 if night else 0.95), fog * trees)
    shafts = np.sin((canvas.x + canvas.y * 0.45) * 9 + canvas.clouds(2, 2) * 6)
    light = np.clip(shafts, 0, 1) * np.clip(0.5 - canvas.y * 0.6, 0, 1) * np.float32(0.22)
    mix(picture, canvas.palette.accent, light.astype(np.float32))
    return picture

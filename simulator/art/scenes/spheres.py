"""Glossy balls on a soft floor, lit from the upper left."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix, step_up

__all__ = ["spheres"]

WHITE = np.ones(3, np.float32)


def _part(canvas: Canvas, x: float, y: float, reach: float) -> tuple[slice, slice]:
    """Return the rows and columns around a point."""
    row, column = (y - canvas.top) / canvas.pixel, (x - canvas.left) / canvas.pixel
    far = reach / canvas.pixel
    rows = slice(max(0, int(row - far)), max(0, int(row + far) + 1))
    return rows, slice(max(0, int(column - far)), max(0, int(column + far) + 1))


def _ball(
    canvas: Canvas, picture: Picture, at: tuple[float, float], radius: float, tint: Field
) -> None:
    x, y = at
    rows, columns = _part(canvas, x + radius * 0.3, y + radius, radius * 1.8)
    u = (canvas.x[:, columns] - np.float32(x + radius * 0.4)) / np.float32(radius * 1.3)
    v = (canvas.y[rows] - np.float32(y + radius * 0.92)) / np.float32(radius * 0.42)
    shadow = np.clip(1 - np.sqrt(u * u + v * v), 0, 1) * np.float32(0.75)
    mix(picture[rows, columns], canvas.palette.at(0.03), shadow)
    rows, columns = _part(canvas, x, y, radius * 1.05)
    u = (canvas.x[:, columns] - np.float32(x)) / np.float32(radius)
    v = (canvas.y[rows] - np.float32(y)) / np.float32(radius)
    away = np.sqrt(u * u + v * v)
    depth = np.sqrt(np.clip(1 - away * away, 0, 1))
    light = np.clip(-0.5 * u - 0.6 * v + 0.62 * depth, 0, 1)
    bounce = np.clip(0.5 * v + 0.2, 0, 1) * (1 - depth) * 0.5
    gloss = np.clip(-0.38 * u - 0.46 * v + 0.8 * depth, 0, 1) ** 40
    body = tint * (0.16 + 0.95 * light + bounce)[..., None]
    stripe = step_up(np.sin((u * 0.6 + v) * between(canvas.rng, 5, 10) + depth * 4), 0.1, 0.2)
    if canvas.chance(0.4):
        body *= (0.72 + 0.28 * stripe)[..., None]
    mix(body, WHITE, gloss.astype(np.float32))
    edge = np.clip((1 - away) * np.float32(radius / canvas.pixel), 0, 1)
    mix(picture[rows, columns], body.astype(np.float32), edge.astype(np.float32))


def spheres(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    picture = canvas.down(0.45, 0.95, 0.72)
    floor = step_up(canvas.y + canvas.x * 0, -0.15, 0.1)
    mix(
        picture,
        canvas.palette.ramp((0.9 - 0.3 * canvas.y + canvas.x * 0).astype(np.float32)),
        floor,
    )
    tints = [*canvas.palette.stops[1:5], canvas.palette.accent]
    count = 26
    places = sorted(between(rng, -0.35, 0.85) for _ in range(count))
    for y in places:
        radius = between(rng, 0.05, 0.15) * (0.75 + y + 0.4)
        x = between(rng, canvas.left, -canvas.left)
        tint = tints[int(rng.integers(len(tints)))]
        _ball(canvas, picture, (x, y * -canvas.top - radius * 0.6), radius, tint)
    return picture

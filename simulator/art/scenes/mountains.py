"""Ridges behind ridges in haze, now and then above a lake that mirrors them."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix, ridge_line, step_up
from simulator.art.scenes.sky import paint_sky

__all__ = ["mirror_in_water", "mountains"]

LAYERS = 6
HALF = 0.5  # only the farther half wears snow
SNOW = np.array([0.97, 0.98, 1.0], np.float32)


def _ridge(canvas: Canvas, depth: float) -> Field:
    """Return the upper edge of one layer; `depth` goes from 0 (far) to 1 (near)."""
    rough = ridge_line(canvas.rng, canvas.width, between(canvas.rng, 2, 4), 7)
    lift = between(canvas.rng, 0.35, 0.6) * (1.15 - 0.5 * depth)
    return (-0.12 + 0.85 * depth - lift * rough).astype(np.float32)


def _layer(canvas: Canvas, picture: Picture, depth: float) -> None:
    edge = _ridge(canvas, depth)
    first = max(0, int((float(edge.min()) - canvas.top) / canvas.pixel) - 2)
    below = (canvas.y[first:] - edge) / np.float32(canvas.pixel)
    land = np.clip(below, 0, 1)
    night = canvas.palette.night
    near = canvas.palette.at((0.4 if night else 0.7) * (1 - depth) ** 1.1)
    haze = canvas.palette.at(0.5 if night else 0.92)
    fall = np.clip(below * np.float32(canvas.pixel * 1.5), 0, 1) * np.float32(0.85 * (1 - depth))
    part = picture[first:]
    mix(part, near, land)
    mix(part, haze, fall * land)
    if canvas.asked("snow", "winter", "alps", "mountain", "peak") and depth < HALF:
        caps = canvas.clouds(24, 2)[first:] * 0.2 + below * np.float32(canvas.pixel)
        mix(part, SNOW, (1 - step_up(caps, 0.12, 0.2)) * land * np.float32(0.75))


def mirror_in_water(canvas: Canvas, picture: Picture, shore: float) -> None:
    """Turn everything under the shore into water that mirrors what is above it.

    Args:
        canvas: What is painted on.
        picture: The scene, changed in place.
        shore: The y of the waterline.
    """
    row = int((shore - canvas.top) / canvas.pixel)
    depth = min(canvas.height - row, row)
    if depth <= 1:
        return
    flipped = picture[row - depth : row][::-1].copy()
    ripple = canvas.rng.normal(0, 1, depth) * np.linspace(0.5, 9, depth) * canvas.height / 1024
    columns = np.arange(canvas.width)[None, :] + ripple.astype(np.intp)[:, None]
    flipped = flipped[np.arange(depth)[:, None], np.clip(columns, 0, canvas.width - 1)]
    fade = np.linspace(0.12, 0.6, depth, dtype=np.float32)[:, None, None]
    flipped += (canvas.palette.at(0.08) - flipped) * fade
    picture[row : row + depth] = flipped
    picture[row + depth :] = flipped[-1:]


def mountains(canvas: Canvas) -> Picture:
    """Paint the scene."""
    picture = paint_sky(canvas)
    lake = canvas.asked("lake", "water", "river", "fjord", "reflection") or canvas.chance(0.3)
    layers = LAYERS - 2 if lake else LAYERS
    for number in range(layers):
        _layer(canvas, picture, number / (LAYERS - 1))
    if lake:
        mirror_in_water(canvas, picture, between(canvas.rng, 0.3, 0.42) * -canvas.top)
    return picture

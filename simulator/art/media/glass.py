"""Stained glass: the scene's colours in leaded cells, thick glass between the lead."""

import numpy as np
from numpy.typing import NDArray

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, enlarge, mix, step_up

__all__ = ["glass"]

WORK_PX = 400  # short side the cells are computed at; edges come from smooth distances


def _cells(
    rng: np.random.Generator, w: int, h: int, step: float
) -> tuple[Field, Field, NDArray[np.intp], NDArray[np.float64]]:
    """Nearest and second nearest distance in steps, the nearest cell, and the cells' middles."""
    columns, rows = int(w / step) + 4, int(h / step) + 4
    base = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) - 1.5
    middles = (base + rng.uniform(-0.45, 0.45, base.shape)).astype(np.float32)
    x = (np.arange(w, dtype=np.float32) / np.float32(step))[None, :] + np.zeros((h, 1), np.float32)
    y = (np.arange(h, dtype=np.float32) / np.float32(step))[:, None] + np.zeros((1, w), np.float32)
    home_x, home_y = (x + 2).astype(np.intp), (y + 2).astype(np.intp)
    near = np.full((h, w), 9, np.float32)
    next_near = near.copy()
    cell = np.zeros((h, w), np.intp)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            i = np.clip(home_y + dy, 0, rows - 1)
            j = np.clip(home_x + dx, 0, columns - 1)
            away = np.hypot(middles[i, j, 0] - x, middles[i, j, 1] - y)
            closer = away < near
            next_near = np.where(closer, near, np.minimum(next_near, away))
            cell = np.where(closer, i * columns + j, cell)
            near = np.minimum(near, away)
    return near, next_near, cell, middles.reshape(-1, 2).astype(np.float64) * step


def glass(canvas: Canvas, scene: Picture) -> Picture:
    """Draw the scene as stained glass.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    rng = canvas.rng
    scale = min(1.0, WORK_PX / min(canvas.width, canvas.height))
    w, h = max(2, round(canvas.width * scale)), max(2, round(canvas.height * scale))
    near, next_near, cell, middles = _cells(rng, w, h, min(w, h) / between(rng, 11, 17))
    row = np.clip(middles[:, 1] / scale, 0, canvas.height - 1).astype(int)
    column = np.clip(middles[:, 0] / scale, 0, canvas.width - 1).astype(int)
    colours = scene[row, column] * rng.uniform(0.75, 1.3, (len(row), 1)).astype(np.float32)
    small = np.clip(colours[cell], 0, 1)
    picture = np.stack([enlarge(small[..., k], canvas.width, canvas.height) for k in range(3)], -1)
    gap = enlarge(next_near - near, canvas.width, canvas.height)
    bulge = 1.12 - 0.5 * enlarge(near, canvas.width, canvas.height) ** 2
    streaks = (canvas.clouds(26, 2) - 0.5) * np.float32(0.22)
    picture = picture * (bulge + streaks)[..., None]
    mix(
        picture,
        np.ones(3, np.float32),
        step_up(gap, 0.34, 0.4) * (1 - step_up(gap, 0.4, 0.48)) * np.float32(0.07),
    )
    mix(picture, np.full(3, 0.03, np.float32), 1 - step_up(gap, 0.05, 0.1))
    return picture.astype(np.float32)

"""Watercolour: pigment pooled at the edges of washes, on rough paper left white around."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, enlarge, fbm, mix, step_up

__all__ = ["watercolour"]

PAPER = np.array([0.975, 0.96, 0.925], np.float32)
TONES = 6


def _wander(canvas: Canvas, scene: Picture) -> Picture:
    """Move every pixel a little, the way wet paint runs, at half size."""
    w, h = max(2, canvas.width // 2), max(2, canvas.height // 2)
    small = np.stack([enlarge(scene[..., k], w, h) for k in range(3)], -1)
    reach = 0.035 * min(w, h)
    across = fbm(canvas.rng, w, h, 7, 5) - 0.5
    down = fbm(canvas.rng, w, h, 7, 5) - 0.5
    rows = np.clip(np.arange(h)[:, None] + down * reach * 2, 0, h - 1).astype(np.intp)
    columns = np.clip(np.arange(w)[None, :] + across * reach * 2, 0, w - 1).astype(np.intp)
    moved = small[rows, columns]
    return np.stack([enlarge(moved[..., k], canvas.width, canvas.height) for k in range(3)], -1)


def _edges(tone: Field) -> Field:
    """Return the edges of washes: the border between two steps of tone."""
    level = tone * np.float32(TONES)
    away = np.abs(level - np.round(level))
    return (1 - step_up(away, 0.0, 0.16)).astype(np.float32)


def watercolour(canvas: Canvas, scene: Picture) -> Picture:
    """Paint the scene as a watercolour.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    wet = np.clip(_wander(canvas, scene), 0, 1)
    tone = wet @ np.array([0.3, 0.59, 0.11], np.float32)
    blooms = canvas.clouds(5, 5)
    pigment = 0.72 + 0.32 * (blooms - 0.5) + 0.12 * _edges(tone * 0.8 + blooms * 0.2)
    grain = (fbm(canvas.rng, canvas.width, canvas.height, 130, 1) - 0.5) * np.float32(0.16)
    ratio = np.clip(pigment + grain * (1.2 - tone), 0, 1)
    washed = PAPER * (1 - ratio[..., None] * (1 - wet))
    border = np.maximum(np.abs(canvas.x) / -canvas.left, np.abs(canvas.y) / -canvas.top)
    torn = step_up(border + (canvas.clouds(9, 4) - 0.5) * np.float32(0.22), 0.87, 0.93)
    mix(washed, PAPER + grain[..., None] * np.float32(0.25), torn)
    result: Picture = washed.astype(np.float32)
    return result

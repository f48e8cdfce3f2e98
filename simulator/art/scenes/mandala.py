"""Kaleidoscopic symmetry: waves folded into a wedge and turned around the middle."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, mix, step_up

__all__ = ["mandala"]


def mandala(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    folds = int(rng.choice([6, 8, 10, 12, 16]))
    away = np.sqrt(canvas.x**2 + canvas.y**2)
    angle = np.arctan2(canvas.y, canvas.x) + np.float32(between(rng, 0, 6.28))
    wedge = np.float32(2 * np.pi / folds)
    folded = np.abs((angle % wedge) - wedge / 2)
    u, v = away * np.cos(folded), away * np.sin(folded)
    total = np.zeros_like(away)
    for octave in range(4 + canvas.finer):
        pitch = np.float32(between(rng, 3, 6) * 1.55**octave)
        a, b = np.float32(between(rng, 0, 6.28)), np.float32(between(rng, 0, 6.28))
        total += (
            np.sin(u * pitch + a + total)
            * np.cos(v * pitch * 1.3 + b - total * 0.7)
            / np.float32(1.25**octave)
        )
    tone = 0.5 + 0.5 * np.sin(total * np.float32(between(rng, 1.6, 2.6)))
    picture = canvas.palette.ramp(tone)
    lines = np.abs(np.sin(total * np.float32(4.5)))
    mix(picture, canvas.palette.at(0.0), (1 - step_up(lines, 0.03, 0.17)) * np.float32(0.85))
    beads = step_up(np.sin(u * 26) * np.cos(v * 26), 0.72, 0.85)
    mix(picture, canvas.palette.accent, beads * np.float32(0.8))
    picture *= (1 - 0.42 * np.clip(away - 0.45, 0, 1))[..., None]
    return picture

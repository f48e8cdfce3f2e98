"""Dunes: one side in light, one in shade, wind ripples on both."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, mix, ridge_line, step_up
from simulator.art.scenes.sky import paint_sky

__all__ = ["desert"]

DUNES = 5


def _dune(canvas: Canvas, picture: Picture, near: float, grain: Picture) -> None:
    rng = canvas.rng
    line = ridge_line(rng, canvas.width, between(rng, 1.5, 3), 2)
    window = max(3, canvas.width // 24)
    kernel = np.hanning(window) / np.hanning(window).sum()
    padded = np.pad(line[0], window, mode="edge")
    smooth = np.convolve(padded, kernel, "same")[window:-window].astype(np.float32)[None, :]
    edge = (-0.05 + 0.75 * near - 0.45 * (1.1 - 0.4 * near) * smooth).astype(np.float32)
    first = max(0, int((float(edge.min()) - canvas.top) / canvas.pixel) - 2)
    below = canvas.y[first:] - edge
    land = np.clip(below / np.float32(canvas.pixel), 0, 1)
    slope = np.gradient(smooth[0]).astype(np.float32) / np.float32(canvas.pixel)
    drift = np.clip(below * 0.9 + np.sin(below * 4 + near * 9) * 0.1, -0.2, 3) / canvas.pixel
    column = np.clip(np.arange(canvas.width) + drift.astype(np.intp), 0, canvas.width - 1)
    lit = step_up(slope[column] + below * 0.12, -0.1, 0.28)
    lit = lit * (1 - np.clip(below * 0.35, 0, 0.5))
    ripple = (
        np.sin((below * 60 + grain[first:] * 16 + canvas.x * 14) / np.float32(0.5 + near)) * 0.035
    )
    base = 0.2 if canvas.palette.night else 0.3
    tone = base + 0.5 * lit * (1 - 0.25 * near) + ripple * near + (1 - near) * 0.14
    mix(picture[first:], canvas.palette.ramp(tone.astype(np.float32)), land.astype(np.float32))


def desert(canvas: Canvas) -> Picture:
    """Paint the scene."""
    picture = paint_sky(canvas, horizon=0.0)
    grain = canvas.clouds(4, 3)
    for number in range(DUNES):
        _dune(canvas, picture, number / (DUNES - 1), grain)
    return picture

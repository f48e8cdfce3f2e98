"""Rows of waves with foam on their crests, like a woodblock print, under a low sun."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix, step_up
from simulator.art.scenes.props import boats, lighthouse
from simulator.art.scenes.sky import paint_sky

__all__ = ["sea"]

ROWS = 9
SHIPPING = 3  # boats float between this row of waves and the one behind it


def _crest(canvas: Canvas, near: float, horizon: float) -> Field:
    """Return the upper edge of a row of waves; `near` is 0 (horizon) to 1 (foreground)."""
    rng = canvas.rng
    reach = 0.02 + 0.2 * near**1.3
    length = between(rng, 2.0, 3.2) / (0.12 + near)
    phase = canvas.x * np.float32(length) + np.float32(between(rng, 0, 6.28))
    sway = np.sin(canvas.x * np.float32(length * 0.37) + np.float32(between(rng, 0, 6.28)))
    peaks = np.abs(np.sin(phase + sway * 0.8)) ** 0.7
    rise = np.float32(reach) * (peaks - 0.5 + sway * 0.4)
    edge: Field = (horizon + (0.97 - horizon) * near**1.2 + rise).astype(np.float32)
    return edge


def _row(canvas: Canvas, picture: Picture, edge: Field, near: float, foam: Field) -> None:
    first = max(0, int((float(edge.min()) - canvas.top) / canvas.pixel) - 2)
    part = picture[first:]
    below = canvas.y[first:] - edge
    water = np.clip(below / np.float32(canvas.pixel), 0, 1)
    tone = (0.5 - 0.36 * near) if not canvas.palette.night else (0.38 - 0.3 * near)
    mix(part, canvas.palette.at(tone), water)
    lines = np.sin(below * np.float32(95 / (0.35 + near)) + foam[first:] * 7)
    mix(part, canvas.palette.at(tone + 0.16), step_up(lines, 0.5, 0.9) * water * np.float32(0.42))
    torn = below - foam[first:] * np.float32(0.13 * near + 0.012)
    mix(part, canvas.palette.at(0.97), (1 - step_up(torn, 0, 0.012)) * water * np.float32(0.92))


def sea(canvas: Canvas) -> Picture:
    """Paint the scene."""
    horizon = between(canvas.rng, -0.16, 0.2)
    picture = paint_sky(canvas, horizon=horizon + 0.08, radius=between(canvas.rng, 0.2, 0.36))
    foam = canvas.clouds(14, 3) ** 2
    for number in range(ROWS):
        near = number / (ROWS - 1)
        if number == SHIPPING and canvas.asked("lighthouse"):
            lighthouse(canvas, picture, horizon + 0.14)
        elif number == SHIPPING and canvas.asked("boat", "ship", "sail", "harbour", "harbor"):
            boats(canvas, picture, horizon + 0.02)
        _row(canvas, picture, _crest(canvas, near, horizon), near, foam)
    return picture

"""A skyline at dusk with lit windows, mirrored in wet ground."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between
from simulator.art.scenes.mountains import mirror_in_water
from simulator.art.scenes.sky import paint_sky

__all__ = ["city"]

ROWS = 4
SHORE = 0.55
WARM = 0.8  # share of the windows lit in the accent


def _windows(canvas: Canvas, house: Picture, near: float) -> None:
    """Light some windows of one building, drawn in place on its part of the picture."""
    unit = max(3, round(canvas.width * (0.006 + 0.008 * near)))
    rows, columns = house.shape[0] // (unit * 2), house.shape[1] // (unit * 2)
    if rows < 1 or columns < 1:
        return
    lit = canvas.rng.random((rows, columns)) < between(canvas.rng, 0.15, 0.6)
    tint = np.where(
        canvas.rng.random((rows, columns, 1)) < WARM, canvas.palette.accent, canvas.palette.at(0.9)
    )
    pane = np.zeros((2 * unit, 2 * unit), bool)
    pane[unit // 2 : unit // 2 + unit, unit // 2 : unit // 2 + max(1, unit * 3 // 4)] = True
    glow = np.kron(lit, pane)
    colours = np.repeat(np.repeat(tint, 2 * unit, 0), 2 * unit, 1).astype(np.float32)
    part = house[: glow.shape[0], : glow.shape[1]]
    part[glow] += (colours[glow] - part[glow]) * np.float32(0.35 + 0.6 * near)


def _row(canvas: Canvas, picture: Picture, near: float) -> None:
    rng = canvas.rng
    night = canvas.palette.night
    foot = int((SHORE - canvas.top) / canvas.pixel)
    tone = canvas.palette.at((0.34 if night else 0.6) * (1 - near) + 0.02)
    left = -int(rng.integers(0, max(1, canvas.width // 12)))
    while left < canvas.width:
        width = int(canvas.width * between(rng, 0.04, 0.11) * (0.7 + 0.6 * near)) + 2
        tall = between(rng, 0.35, 1.25) * (1.05 - 0.55 * near)
        roof = max(0, int((SHORE - tall - canvas.top) / canvas.pixel))
        right = min(left + width, canvas.width)
        house = picture[roof:foot, max(0, left) : right]
        if house.size:
            house += (tone - house) * np.float32(0.92)
            _windows(canvas, house[max(1, house.shape[0] // 40) :], near)
            if canvas.chance(0.25):
                mast = (max(0, left) + right) // 2
                picture[
                    max(0, roof - canvas.height // 14) : roof, mast : mast + max(1, width // 40)
                ] = tone
        left += int(width * between(rng, 0.85, 1.25))


def city(canvas: Canvas) -> Picture:
    """Paint the scene."""
    picture = paint_sky(canvas, horizon=0.1, radius=between(canvas.rng, 0.2, 0.4))
    for number in range(ROWS):
        _row(canvas, picture, number / (ROWS - 1))
    mirror_in_water(canvas, picture, SHORE)
    return picture

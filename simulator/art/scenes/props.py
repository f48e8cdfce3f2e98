"""Things that stand in a scene when the prompt names them: sailing boats, a lighthouse."""

import numpy as np
from PIL import Image, ImageDraw

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix

__all__ = ["boats", "lighthouse"]

SMOOTH = 2  # drawn this many times larger, then shrunk
Point = tuple[float, float]

HULL: tuple[Point, ...] = ((-1.0, 0.0), (1.05, 0.0), (0.75, 0.32), (-0.7, 0.32))
MAINSAIL: tuple[Point, ...] = ((0.02, -0.12), (0.02, -1.9), (-0.85, -0.12))
JIB: tuple[Point, ...] = ((0.1, -0.12), (0.1, -1.6), (0.85, -0.12))
TOWER: tuple[Point, ...] = ((-0.16, 0.0), (-0.1, -1.0), (0.1, -1.0), (0.16, 0.0))
ROOF: tuple[Point, ...] = ((-0.13, -1.16), (0.0, -1.3), (0.13, -1.16))
LAMP: tuple[Point, ...] = ((-0.08, -1.0), (-0.08, -1.16), (0.08, -1.16), (0.08, -1.0))
ROCK: tuple[Point, ...] = (
    (-0.9, 0.5),
    (-0.55, 0.05),
    (-0.2, -0.05),
    (0.3, -0.02),
    (0.6, 0.15),
    (0.9, 0.5),
)


def _put(
    picture: Picture,
    shape: tuple[Point, ...],
    place: tuple[Canvas, float, float, float],
    colour: Field,
) -> None:
    """Draw one shape, scaled and moved, in one colour."""
    canvas, middle, foot, size = place
    points = [
        (
            (middle + x * size - canvas.left) / canvas.pixel,
            (foot + y * size - canvas.top) / canvas.pixel,
        )
        for x, y in shape
    ]
    left, top = (max(0, int(min(p[k] for p in points)) - 1) for k in (0, 1))
    right, bottom = (int(max(p[k] for p in points)) + 2 for k in (0, 1))
    right, bottom = min(right, canvas.width), min(bottom, canvas.height)
    if right <= left or bottom <= top:
        return
    sheet = Image.new("L", ((right - left) * SMOOTH, (bottom - top) * SMOOTH))
    moved = [((x - left) * SMOOTH, (y - top) * SMOOTH) for x, y in points]
    ImageDraw.Draw(sheet).polygon(moved, fill=255)
    mask = np.asarray(sheet.resize((right - left, bottom - top), Image.Resampling.BOX), np.float32)
    mix(picture[top:bottom, left:right], colour, mask / 255)


def boats(canvas: Canvas, picture: Picture, waterline: float) -> None:
    """Set a few sailing boats on the water."""
    rng = canvas.rng
    count = int(rng.integers(2, 5))
    for number in range(count):
        size = between(rng, 0.07, 0.1) * (1 + number * 0.55)
        slot = (number + between(rng, 0.2, 0.8)) / count * 2 - 1
        place = (canvas, -slot * canvas.left * 0.85, waterline + 0.05 * number, size)
        _put(picture, MAINSAIL, place, canvas.palette.at(1.0))
        _put(picture, JIB, place, canvas.palette.at(0.86))
        _put(picture, HULL, place, canvas.palette.at(0.06))


def lighthouse(canvas: Canvas, picture: Picture, waterline: float) -> None:
    """Build a lighthouse on a rock, its beam over the water."""
    rng = canvas.rng
    size = between(rng, 0.55, 0.72)
    x, y = float(rng.choice([-1, 1])) * between(rng, 0.3, 0.6), waterline - 0.06
    place = (canvas, x, y, size)
    dx, dy = canvas.x - np.float32(x), canvas.y - np.float32(y - 1.08 * size)
    beam = np.exp(-np.abs(dy / (np.abs(dx) + 0.02) + 0.1) * 9) * np.exp(-np.abs(dx) * 0.9) * 0.55
    mix(picture, canvas.palette.at(1.0), np.where(dx * np.sign(-x) > 0, beam, 0).astype(np.float32))
    _put(picture, ROCK, place, canvas.palette.at(0.07))
    _put(picture, TOWER, place, canvas.palette.at(0.97))
    for low, high in ((-0.28, -0.1), (-0.64, -0.46), (-0.98, -0.82)):
        narrow, wide = 0.16 + low * 0.06, 0.16 + high * 0.06  # as the tower tapers
        band = ((-wide, high), (-narrow, low), (narrow, low), (wide, high))
        _put(picture, band, place, np.array([0.78, 0.16, 0.14]))
    _put(picture, LAMP, place, canvas.palette.at(1.0))
    _put(picture, ROOF, place, canvas.palette.at(0.05))

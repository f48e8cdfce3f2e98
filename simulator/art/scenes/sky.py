"""Skies and what hangs in them: the upper half of every landscape."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, mix, ridge_line, step_up

__all__ = ["paint_sky", "stars"]

BRIGHT = 0.45  # stars above this light are more than a pixel


def stars(canvas: Canvas, picture: Picture, count: int) -> None:
    """Strew stars of several sizes over a picture."""
    rng = canvas.rng
    count = round(count * canvas.width * canvas.height / 1024**2) + 1
    rows = rng.integers(0, canvas.height, count)
    columns = rng.integers(0, canvas.width, count)
    light = (rng.random(count) ** 4).astype(np.float32)[:, None]
    tint = np.array([1, 0.95, 0.85], np.float32) * light
    np.maximum.at(picture, (rows, columns), tint)
    bright = light[:, 0] > BRIGHT
    for dy, dx, share in ((0, 1, 0.7), (1, 0, 0.7), (1, 1, 0.5), (0, -1, 0.3), (-1, 0, 0.3)):
        at = (
            np.clip(rows[bright] + dy, 0, canvas.height - 1),
            np.clip(columns[bright] + dx, 0, canvas.width - 1),
        )
        np.maximum.at(picture, at, tint[bright] * np.float32(share))


def disc(canvas: Canvas, picture: Picture, at: tuple[float, float], radius: float) -> None:
    """Hang a sun or moon with its glow."""
    x, y = at
    away = np.sqrt((canvas.x - np.float32(x)) ** 2 + (canvas.y - np.float32(y)) ** 2)
    red, green, blue = canvas.palette.accent
    warm = red >= green * np.float32(0.9) and red > blue
    accent = canvas.palette.accent if warm else canvas.palette.at(1.0)
    mix(picture, accent, np.exp(-away / np.float32(radius * 2.2)) * np.float32(0.62))
    mix(picture, accent, 1 - step_up(away, radius - canvas.pixel, radius + canvas.pixel))


def _curtains(canvas: Canvas, picture: Picture) -> None:
    """Hang northern lights into the sky."""
    rng = canvas.rng
    for _ in range(3):
        sway = ridge_line(rng, canvas.width, between(rng, 1.5, 3), 4)
        foot = np.float32(between(rng, -0.55, 0.0)) + sway * np.float32(0.5)
        above = foot - canvas.y
        rays = ridge_line(rng, canvas.width, between(rng, 30, 60), 3) * np.float32(0.75) + 0.25
        light = np.exp(-above * np.float32(between(rng, 1.6, 3.0))) * step_up(above, -0.03, 0.05)
        tint = canvas.palette.accent if canvas.chance(0.3) else canvas.palette.at(0.72)
        mix(picture, tint, (light * rays * 0.85).astype(np.float32))


def paint_sky(canvas: Canvas, *, horizon: float = 0.2, radius: float | None = None) -> Picture:
    """Paint a sky from the palette, with clouds, stars at night, and a sun or moon.

    Args:
        canvas: What to paint on.
        horizon: The y where the land begins.
        radius: The disc's radius; None lets the dice choose, 0 leaves it out.

    Returns:
        A picture as large as the canvas.
    """
    rng = canvas.rng
    night = canvas.palette.night
    picture = canvas.down(0.02, 0.55, 0.25) if night else canvas.down(0.42, 1.0, 0.8)
    if night:
        stars(canvas, picture, 1500)
    if canvas.asked("aurora", "northern", "borealis"):
        _curtains(canvas, picture)
        radius = 0
    if canvas.asked("moon"):
        radius = between(rng, 0.26, 0.42)
    if radius is None:
        radius = between(rng, 0.1, 0.24)
    x = between(rng, 0.55, 0.85) * canvas.left * float(rng.choice([-1, 1])) * 0.75
    y = horizon - between(rng, 0.35, 0.75)
    if radius > 0:
        disc(canvas, picture, (x, y), radius)
    streaks = np.clip(canvas.clouds(2.2, 4) * 1.9 - 0.95, 0, 1)
    streaks = streaks * (0.25 if night else 0.5)
    mix(picture, canvas.palette.at(0.55 if night else 0.97), streaks.astype(np.float32))
    return picture

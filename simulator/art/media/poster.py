"""Screen print: a handful of flat inks with dots in between."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, fbm

__all__ = ["poster"]

INKS = 6
WORN = 0.83  # where the paper shows through


def poster(canvas: Canvas, scene: Picture) -> Picture:
    """Print the scene in flat inks of the palette.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    tone = np.clip(scene, 0, 1) @ np.array([0.3, 0.59, 0.11], np.float32)
    low, high = np.quantile(tone[::4, ::4], [0.02, 0.98])
    even = np.clip((tone - low) / max(high - low, 1e-3), 0, 1)
    pitch = np.float32(150)
    dots = np.sin((canvas.x + canvas.y) * pitch) * np.sin((canvas.x - canvas.y) * pitch)
    level = np.clip(np.floor(even * INKS + dots * np.float32(0.34)), 0, INKS - 1).astype(np.intp)
    inks = canvas.palette.stops[np.linspace(0, len(canvas.palette.stops) - 1, INKS).astype(int)]
    picture: Picture = inks[level]
    worn = fbm(canvas.rng, canvas.width, canvas.height, 60, 2) > WORN
    picture[worn] += (canvas.palette.at(1.0) - picture[worn]) * np.float32(0.5)
    return picture

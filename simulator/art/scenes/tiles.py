"""A quilt of quarter circles, stripes and dots, as on a printed poster."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, mix

__all__ = ["tiles"]


def _shape(kind: int, turn: int, size: int) -> tuple[Field, Field]:
    """Return two masks, 0 to 1, of one tile's figures."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    u, v = np.meshgrid(at, at)
    corner = np.sqrt(u * u + v * v)
    centre = np.sqrt((u - 0.5) ** 2 + (v - 0.5) ** 2)
    other = np.sqrt((1 - u) ** 2 + (1 - v) ** 2)
    pairs = [
        (1 - corner, 0.5 - corner),
        (0.5 - corner, 0.5 - other),
        (0.46 - centre, 0.2 - centre),
        (u - v, 0.33 - other),
        (0.5 - u, 0.25 - np.abs(v - 0.5) - np.abs(u - 0.75)),
        (np.sin(u * 6 * np.pi) * 0.1, 0.32 - centre),
        (1 - corner, np.sin(corner * 8 * np.pi) * 0.1 - np.maximum(0, corner - 1)),
        (np.minimum(0.5 - v, 0.5 - centre), np.minimum(v - 0.5, 0.5 - centre)),
    ]
    first, second = pairs[kind]
    one = np.rot90(np.clip(first * size + 0.5, 0, 1), turn)
    two = np.rot90(np.clip(second * size + 0.5, 0, 1), turn)
    return one.astype(np.float32), two.astype(np.float32)


def tiles(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    across = int(rng.choice([4, 5, 6, 8]))
    size = max(2, -(-min(canvas.width, canvas.height) // across))
    colours = np.concatenate(
        [canvas.palette.stops, canvas.palette.accent[None], canvas.palette.stops[-1:]]
    )
    picture = canvas.blank(canvas.palette.at(1.0))
    for top in range(0, canvas.height, size):
        for left in range(0, canvas.width, size):
            part = picture[top : top + size, left : left + size]
            one, two = _shape(int(rng.integers(8)), int(rng.integers(4)), size)
            chosen = rng.choice(len(colours), 3, replace=False)
            h, w = part.shape[:2]
            part[:] = colours[chosen[0]]
            mix(part, colours[chosen[1]], one[:h, :w])
            mix(part, colours[chosen[2]], two[:h, :w])
    wear = (canvas.clouds(30, 3) - 0.5) * np.float32(0.09)
    picture += wear[..., None]
    return picture

"""Low poly: the scene's colours on a mesh of triangles, each lit by its slope."""

import numpy as np
from PIL import Image, ImageDraw

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between

__all__ = ["facets"]


def facets(canvas: Canvas, scene: Picture) -> Picture:
    """Draw the scene as triangles.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    rng = canvas.rng
    short = min(canvas.width, canvas.height)
    step = short / between(rng, 19, 30)
    rows, columns = int(canvas.height / step) + 3, int(canvas.width / step) + 3
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).astype(np.float64)
    grid[1::2, :, 0] += 0.5
    grid = (grid - 0.9 + rng.uniform(-0.36, 0.36, grid.shape)) * step
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]
    odd = (np.arange(rows - 1) % 2 == 1)[:, None, None]
    first = np.stack([a, b, np.where(odd, d, c)], -2).reshape(-1, 3, 2)
    second = np.stack([np.where(odd, a, b), c, d], -2).reshape(-1, 3, 2)
    triangles = np.concatenate([first, second])
    middles = triangles.mean(1)
    column = np.clip(middles[:, 0].astype(int), 0, canvas.width - 1)
    row = np.clip(middles[:, 1].astype(int), 0, canvas.height - 1)
    light = 0.88 + rng.uniform(-0.13, 0.2, len(triangles))[:, None]
    colours = (np.clip(scene[row, column] * light, 0, 1) * 255).astype(int)
    sheet = Image.new("RGB", (canvas.width * 2, canvas.height * 2))
    draw = ImageDraw.Draw(sheet)
    for points, colour in zip(
        (triangles * 2).reshape(-1, 6).tolist(), colours.tolist(), strict=True
    ):
        draw.polygon(points, fill=tuple(colour), outline=tuple(colour))
    small = sheet.resize((canvas.width, canvas.height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255

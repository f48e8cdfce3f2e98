"""Brush strokes along a slow current, each in the colour of what it covers."""

import numpy as np
from PIL import Image, ImageDraw

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between

__all__ = ["strokes"]

STEPS = 7
BROAD_PX = 12  # thinner strokes show no gap at their bends
PASSES = ((900, 0.034), (2600, 0.017), (4200, 0.008))  # strokes on a square, width / short side


def _paths(canvas: Canvas, current: Field, count: int, length: float) -> tuple[Field, Field]:
    """Return the positions of the strokes: columns and rows, count x STEPS."""
    rng = canvas.rng
    xs, ys = np.empty((2, count, STEPS), np.float32)
    x = rng.random(count) * canvas.width
    y = rng.random(count) * canvas.height
    for step in range(STEPS):
        xs[:, step], ys[:, step] = x, y
        row = np.clip(y, 0, canvas.height - 1).astype(int)
        column = np.clip(x, 0, canvas.width - 1).astype(int)
        heading = current[row, column]
        x = x + np.cos(heading) * length
        y = y + np.sin(heading) * length
    return xs, ys


def strokes(canvas: Canvas, scene: Picture) -> Picture:
    """Paint the scene over with strokes, broad ones first.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    rng = canvas.rng
    short = min(canvas.width, canvas.height)
    current = canvas.clouds(between(rng, 1.2, 2.4), 2) * np.float32(9.0)
    sheet = Image.fromarray((np.clip(scene, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(sheet)
    area = canvas.width * canvas.height / short**2
    for count, broad in PASSES:
        count_here = int(count * area * (0.6 + 0.6 * canvas.detail)) + 1
        xs, ys = _paths(canvas, current, count_here, short * broad * 0.75)
        middle = STEPS // 2
        row = np.clip(ys[:, middle], 0, canvas.height - 1).astype(int)
        column = np.clip(xs[:, middle], 0, canvas.width - 1).astype(int)
        shift = rng.normal(0, 0.045, (count_here, 1)) + rng.normal(0, 0.02, (count_here, 3))
        colours = (np.clip(scene[row, column] + shift, 0, 1) * 255).astype(int).tolist()
        lines = np.stack([xs, ys], -1).reshape(count_here, -1).tolist()
        width = max(1, round(short * broad))
        for line, colour in zip(lines, colours, strict=True):
            draw.line(
                line, fill=tuple(colour), width=width, joint="curve" if width > BROAD_PX else None
            )
    return np.asarray(sheet, np.float32) / 255

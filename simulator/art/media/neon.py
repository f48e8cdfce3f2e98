"""Neon: the scene's outlines as glowing tubes over a dark copy of itself."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, enlarge, step_up

__all__ = ["neon"]

SMALLEST_PX = 3


def _outline(tone: Field) -> Field:
    """Return how steeply the light changes, 0 to 1."""
    down, across = np.zeros_like(tone), np.zeros_like(tone)
    if min(tone.shape) >= SMALLEST_PX:
        down[1:-1] = tone[2:] - tone[:-2]
        across[:, 1:-1] = tone[:, 2:] - tone[:, :-2]
    return np.clip(np.hypot(down, across) * np.float32(2.4), 0, 1).astype(np.float32)


def neon(canvas: Canvas, scene: Picture) -> Picture:
    """Turn the scene into neon.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    tone = np.clip(scene, 0, 1) @ np.array([0.3, 0.59, 0.11], np.float32)
    lines = step_up(_outline(tone), 0.07, 0.45)
    w, h = max(2, canvas.width // 10), max(2, canvas.height // 10)
    near = enlarge(
        enlarge(lines, max(2, canvas.width // 4), max(2, canvas.height // 4)),
        canvas.width,
        canvas.height,
    )
    wide = enlarge(enlarge(lines, w, h), canvas.width, canvas.height)
    place = 0.5 + 0.5 * np.sin(canvas.x * 2.1 + canvas.y * 1.3 + canvas.clouds(1.5, 2) * 5)
    pink, blue = np.array([1, 0.12, 0.62], np.float32), canvas.palette.accent
    tube = pink + (blue - pink) * place[..., None].astype(np.float32)
    scan = 0.9 + 0.1 * np.sin(np.arange(canvas.height) * np.pi / 2)[:, None, None]
    dark = scene * np.float32(0.42) + canvas.palette.at(0.04) * np.float32(0.5)
    glow = tube * (near * 0.7 + wide * 0.9)[..., None]
    lit: Picture = (dark * scan + glow + (lines * 0.75)[..., None]).astype(np.float32)
    return lit

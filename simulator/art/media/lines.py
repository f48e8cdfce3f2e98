"""Engraving: white on black lines that rise where the scene is bright, as relief on paper."""

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.noise import Picture, between, enlarge, step_up

__all__ = ["lines"]


def lines(canvas: Canvas, scene: Picture) -> Picture:
    """Draw the scene with parallel lines bent by its light.

    Args:
        canvas: What is painted on.
        scene: The finished scene.

    Returns:
        A new picture of the same size.
    """
    tone = np.clip(scene, 0, 1) @ np.array([0.3, 0.59, 0.11], np.float32)
    w, h = max(2, canvas.width // 8), max(2, canvas.height // 8)
    soft = enlarge(enlarge(tone, w, h), canvas.width, canvas.height)
    pitch = np.float32(between(canvas.rng, 190, 250))
    lift = soft * np.float32(0.16)
    tilt = np.float32(between(canvas.rng, -0.25, 0.25))
    wave = np.sin((canvas.y + canvas.x * tilt + lift) * pitch)
    width = np.float32(1.05) - np.float32(2.0) * (0.35 * soft + 0.65 * tone)
    ink = step_up(wave - width, -0.3, 0.3)
    light = (0.35 + 0.75 * soft) * ink + 0.035
    return np.repeat(light[..., None], 3, 2).astype(np.float32)

"""Make the picture of the canned mode once, as large as a real one."""

import zlib

import numpy as np

from simulator.art.noise import fbm
from simulator.png import Pixels

__all__ = ["canned_pixels"]

SIDE_PX = 1024
SIZE_BYTES = 1_500_000
TRIES = 12


def _noisy(base: Pixels, noise: Pixels, reach: float) -> Pixels:
    """Return the base with noise of `reach` levels, without wrapping around."""
    lifted = base.astype(np.float32) * np.float32(0.6) + 40 + noise * np.float32(reach / 256)
    return lifted.astype(np.uint8)


def _packed_bytes(pixels: Pixels) -> int:
    """Return the size of the PNG's pixel data without writing the file."""
    rows = pixels.reshape(SIDE_PX, -1)
    lines = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    return len(zlib.compress(lines.data, 1))


def canned_pixels() -> Pixels:
    """Make a noisy 1024x1024 picture whose PNG has 1.5 MB within one per cent.

    Returns:
        height x width x 3 bytes; the same on every start.
    """
    rng = np.random.default_rng(1500)
    layers = [fbm(rng, SIDE_PX, SIDE_PX, 3, 5) for _ in range(3)]
    base = (np.stack(layers, -1) * 255).astype(np.uint8)
    noise = rng.integers(0, 256, base.shape, np.uint8)
    low, high = 1.0, 100.0
    for _ in range(TRIES):
        middle = (low + high) / 2
        pixels = _noisy(base, noise, middle)
        weight = _packed_bytes(pixels)
        if abs(weight - SIZE_BYTES) < SIZE_BYTES // 400:
            break
        low, high = (low, middle) if weight > SIZE_BYTES else (middle, high)
    return pixels

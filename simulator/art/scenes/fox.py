"""A fox made of folded paper, for prompts that ask for an animal or a portrait."""

import numpy as np
from PIL import Image, ImageDraw

from simulator.art.canvas import Canvas
from simulator.art.noise import Field, Picture, between, mix

__all__ = ["fox"]

SMOOTH = 2  # drawn this many times larger, then shrunk
Point = tuple[float, float]

# The right half of a face, corner by corner; the left half is its mirror image.
FACETS: tuple[tuple[str, float, tuple[Point, ...]], ...] = (
    ("fur", 0.74, ((0.0, -0.34), (0.3, -0.4), (0.0, 0.12))),
    ("fur", 0.6, ((0.3, -0.4), (0.4, -0.04), (0.0, 0.12))),
    ("fur", 0.5, ((0.3, -0.4), (0.58, -0.2), (0.4, -0.04))),
    ("fur", 0.66, ((0.22, -0.37), (0.5, -0.86), (0.42, -0.3))),
    ("fur", 0.42, ((0.5, -0.86), (0.6, -0.18), (0.42, -0.3))),
    ("dark", 0.1, ((0.31, -0.42), (0.48, -0.72), (0.45, -0.32))),
    ("white", 0.97, ((0.4, -0.04), (0.58, -0.2), (0.68, 0.14))),
    ("white", 0.84, ((0.4, -0.04), (0.68, 0.14), (0.3, 0.36))),
    ("white", 0.92, ((0.4, -0.04), (0.3, 0.36), (0.12, 0.3))),
    ("fur", 0.7, ((0.0, 0.12), (0.4, -0.04), (0.12, 0.3))),
    ("fur", 0.8, ((0.0, 0.12), (0.12, 0.3), (0.0, 0.46))),
    ("white", 0.8, ((0.12, 0.3), (0.3, 0.36), (0.0, 0.66))),
    ("white", 0.72, ((0.12, 0.3), (0.0, 0.66), (0.0, 0.46))),
    ("dark", 0.04, ((0.0, 0.46), (0.1, 0.47), (0.0, 0.62))),
    ("dark", 0.03, ((0.14, 0.04), (0.33, -0.09), (0.29, 0.03))),
    ("fur", 0.34, ((0.3, 0.36), (0.68, 0.14), (0.62, 0.75))),
    ("fur", 0.26, ((0.3, 0.36), (0.62, 0.75), (0.0, 0.66))),
    ("white", 0.88, ((0.0, 0.66), (0.32, 0.7), (0.0, 1.1))),
    ("fur", 0.4, ((0.32, 0.7), (0.62, 0.75), (0.0, 1.1))),
)
FOX = np.array([[0.42, 0.13, 0.06], [0.86, 0.36, 0.09], [1.0, 0.66, 0.3]])
FURS = {
    "wolf": np.array([[0.16, 0.18, 0.22], [0.44, 0.48, 0.54], [0.74, 0.78, 0.82]]),
    "cat": np.array([[0.1, 0.1, 0.14], [0.24, 0.24, 0.32], [0.46, 0.46, 0.56]]),
    "bear": np.array([[0.2, 0.11, 0.06], [0.45, 0.27, 0.15], [0.7, 0.5, 0.32]]),
    "lion": np.array([[0.5, 0.28, 0.08], [0.84, 0.6, 0.22], [0.98, 0.84, 0.5]]),
}


def _colour(canvas: Canvas, kind: str, tone: float) -> tuple[int, int, int]:
    lit = tone + between(canvas.rng, -0.07, 0.07)
    if kind == "fur":
        fur = next((fur for animal, fur in FURS.items() if canvas.asked(animal)), FOX)
        shade = [float(np.interp(lit, [0.15, 0.55, 0.9], fur[:, k])) for k in range(3)]
    elif kind == "white":
        shade = [lit, lit * 0.98, lit * 0.93]
    else:
        shade = [0.1 + lit * 0.4, 0.07 + lit * 0.3, 0.1 + lit * 0.3]
    r, g, b = (int(np.clip(part, 0, 1) * 255) for part in shade)
    return r, g, b


def _head(canvas: Canvas) -> tuple[Picture, Field]:
    """Return the head and its mask."""
    w, h = canvas.width * SMOOTH, canvas.height * SMOOTH
    sheet = Image.new("RGBA", (w, h))
    draw = ImageDraw.Draw(sheet)
    lean, size = between(canvas.rng, -0.12, 0.12), between(canvas.rng, 0.88, 1.02)
    nudges = {p: canvas.rng.normal(0, 0.012, 2) for _, _, facet in FACETS for p in facet}
    for side in (1, -1):
        for kind, tone, facet in FACETS:
            points = []
            for at in facet:
                x = (at[0] + float(nudges[at][0]) * (at[0] > 0)) * side + lean * at[1]
                y = at[1] + float(nudges[at][1]) + 0.08
                column = (x * size - canvas.left) / canvas.pixel * SMOOTH
                points.append((column, (y * size - canvas.top) / canvas.pixel * SMOOTH))
            colour = _colour(canvas, kind, tone - 0.1 * (side < 0))
            draw.polygon(points, fill=(*colour, 255), outline=(*colour, 255))
    small = np.asarray(
        sheet.resize((canvas.width, canvas.height), Image.Resampling.BOX), np.float32
    )
    return small[..., :3] / 255, small[..., 3] / 255


def fox(canvas: Canvas) -> Picture:
    """Paint the scene."""
    rng = canvas.rng
    turn = canvas.x * np.float32(between(rng, -0.3, 0.3)) + canvas.y * 0.35
    tone = 0.42 + turn + (canvas.clouds(3, 3) - 0.5) * 0.4
    picture = canvas.palette.ramp(tone.astype(np.float32))
    away = np.sqrt(canvas.x**2 + (canvas.y + 0.05) ** 2)
    halo = np.clip((0.93 - away) / np.float32(canvas.pixel), 0, 1) * np.float32(0.55)
    mix(picture, canvas.palette.at(0.95), halo)
    head, mask = _head(canvas)
    soft = np.zeros_like(mask)
    down, across = canvas.height // 40, canvas.width // 60
    soft[down:, across:] = mask[: canvas.height - down, : canvas.width - across] * np.float32(0.35)
    mix(picture, canvas.palette.at(0.0), soft)
    mix(picture, head / np.maximum(mask, 1e-3)[..., None], mask)
    return picture

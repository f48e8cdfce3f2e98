"""The treatment after painting: how model, filter, guidance and steps change tone and grain."""

from dataclasses import dataclass

import numpy as np

from simulator.art.noise import Field, Picture, enlarge
from simulator.png import Pixels
from simulator.request.rules import ImageCall

__all__ = ["develop"]

LUMA = np.array([0.3, 0.59, 0.11], np.float32)
Colour = tuple[float, float, float]
NEUTRAL: Colour = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Grade:
    """How a look changes a picture.

    Attributes:
        contrast: Around middle grey; 1 changes nothing.
        colour: Saturation; 0 is grey, 1 changes nothing.
        tint: Factors on red, green, blue.
        lift: Added light in the shadows.
        bloom: How far highlights glow.
        vignette: How dark the corners get.
        grain: Strength of the film grain, 0-255 levels.
        veil: Share of a flat haze in the tint's colour.
    """

    contrast: float = 1.0
    colour: float = 1.0
    tint: Colour = NEUTRAL
    lift: float = 0.0
    bloom: float = 0.0
    vignette: float = 0.0
    grain: float = 0.0
    veil: float = 0.0


MODELS: dict[str, Grade] = {
    "Playground_v3": Grade(contrast=1.06, colour=1.08, grain=2.6, vignette=0.08),
    "Playground_v2.5": Grade(
        contrast=0.92, colour=0.94, lift=0.03, bloom=0.25, grain=3.2, vignette=0.12
    ),
    "Photorealism": Grade(
        contrast=1.1, colour=0.8, tint=(1.02, 1.0, 0.96), bloom=0.3, vignette=0.42, grain=4.6
    ),
}
FILTERS: dict[str, Grade] = {
    "cinematic": Grade(
        contrast=1.14, colour=0.9, tint=(1.04, 0.99, 0.97), vignette=0.35, bloom=0.2
    ),
    "cinematic_warm": Grade(contrast=1.1, tint=(1.12, 1.0, 0.84), vignette=0.3, bloom=0.2),
    "cinematic_cold": Grade(contrast=1.1, colour=0.85, tint=(0.86, 0.99, 1.13), vignette=0.3),
    "cinematic_dimensions": Grade(contrast=1.2, vignette=0.4, bloom=0.3),
    "spielberg": Grade(contrast=1.08, tint=(1.08, 1.0, 0.9), bloom=0.5, vignette=0.25),
    "warm_box": Grade(tint=(1.12, 1.0, 0.82), lift=0.03, vignette=0.2),
    "haze": Grade(contrast=0.78, colour=0.7, veil=0.3, bloom=0.4),
    "yellow_fog": Grade(contrast=0.85, colour=0.7, tint=(1.08, 0.97, 0.6), veil=0.34),
    "old-timey": Grade(contrast=0.95, colour=0.12, tint=(1.09, 0.97, 0.78), vignette=0.5, grain=6),
    "black_and_white_3d": Grade(contrast=1.15, colour=0.0),
    "ominous_escape": Grade(
        colour=0.8, tint=(0.95, 1.12, 1.06), lift=0.05, vignette=0.4, bloom=0.5
    ),
    "wasteland": Grade(contrast=1.05, colour=0.7, tint=(1.1, 0.98, 0.8), grain=4),
    "ultra_lighting": Grade(contrast=1.12, bloom=0.8),
    "radiant_symmetry": Grade(contrast=1.08, colour=1.2, bloom=0.5),
    "saturated_space": Grade(colour=1.2, bloom=0.15),
    "vibrant_glass": Grade(contrast=1.08, colour=1.35, bloom=0.25),
    "hypersonic": Grade(contrast=1.2, colour=1.3, bloom=0.3),
    "futuristic_illumination": Grade(bloom=0.6, tint=(0.92, 1.0, 1.1)),
    "neon_mecha": Grade(bloom=0.45, contrast=1.08),
    "nikon_mode": Grade(contrast=1.1, colour=1.05, vignette=0.3, grain=3),
    "photorealistic": Grade(contrast=1.08, colour=0.88, vignette=0.3, bloom=0.2, grain=3),
    "masterpiece": Grade(contrast=1.06, tint=(1.05, 1.0, 0.92), vignette=0.35),
    "royalistic": Grade(contrast=1.1, tint=(1.08, 1.0, 0.86), vignette=0.45),
    "moody_impressions": Grade(contrast=1.06, colour=0.85, vignette=0.3),
    "ethereal_low_poly": Grade(bloom=0.5, lift=0.03),
    "portrait": Grade(vignette=0.35),
    "closeup": Grade(vignette=0.4, bloom=0.2),
    "macro_realism": Grade(vignette=0.4, contrast=1.1),
    "dreamy_stickers": Grade(colour=1.2, lift=0.04),
}
GUIDANCE_MIDDLE = 7
GUIDANCE_REACH = 30


def _grade(picture: Picture, grade: Grade, contrast: float) -> Picture:
    """Tone and colour in one pass over the pixels: every step but contrast's clip is linear."""
    matrix = np.eye(3) * grade.colour + (1 - grade.colour) * np.outer(LUMA, np.ones(3))
    slope = contrast * grade.contrast * (1 - grade.veil)
    matrix = (matrix * slope) * np.array(grade.tint)
    base = (0.5 - 0.5 * contrast * grade.contrast + grade.lift) * (1 - grade.veil)
    offset = base * np.array(grade.tint) + grade.veil * 0.82 * np.array(grade.tint)
    graded: Picture = picture @ matrix.astype(np.float32) + offset.astype(np.float32)
    return graded


def _bloom(picture: Picture, strength: float) -> None:
    height, width, _ = picture.shape
    light = np.clip(picture[::4, ::4] - np.float32(0.62), 0, 1)
    tiny = (max(2, width // 48), max(2, height // 48))
    for k in range(3):
        glow = enlarge(enlarge(np.ascontiguousarray(light[..., k]), *tiny), width, height)
        picture[..., k] += glow * np.float32(strength * 1.4)


def _vignette(picture: Picture, strength: float) -> None:
    height, width, _ = picture.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    picture *= (1 - np.float32(strength) * np.clip((x * x + y * y) * 0.62 - 0.22, 0, 1))[..., None]


def _grain(rng: np.random.Generator, height: int, width: int, levels: float) -> Field:
    """Return film grain, in levels of 255: the sum of two uniform random numbers a pixel."""
    dice = np.frombuffer(rng.bytes(height * width * 2), np.uint8).reshape(2, height, width)
    total = dice[0].astype(np.float32) + dice[1]
    grain: Field = (total - np.float32(255)) * np.float32(levels / 104)
    return grain


def develop(picture: Picture, call: ImageCall, rng: np.random.Generator) -> Pixels:
    """Turn a painting into the pixels that are sent.

    Args:
        picture: The painting; changed in place.
        call: The request, for its model, filter, guidance and steps.
        rng: The random generator of the grain; it depends on every parameter.

    Returns:
        height x width x 3 bytes.
    """
    model = MODELS[call.model]
    look = FILTERS.get(call.prompt_filter or "", Grade())
    pull = np.clip((call.guidance - GUIDANCE_MIDDLE) / GUIDANCE_REACH, -0.3, 0.6)
    bloom = model.bloom + look.bloom
    if bloom:
        _bloom(picture, bloom)
    picture = _grade(picture, model, 1 + 0.35 * float(pull))
    if look != Grade():
        picture = _grade(picture, look, 1.0)
    _vignette(picture, min(0.75, model.vignette + look.vignette))
    height, width, _ = picture.shape
    rough = (model.grain + look.grain) * (1.25 - 0.5 * call.steps / 150)
    picture *= 255
    picture += _grain(rng, height, width, rough)[..., None]
    picture += np.float32(0.5)
    np.clip(picture, 0, 255, out=picture)
    return picture.astype(np.uint8)

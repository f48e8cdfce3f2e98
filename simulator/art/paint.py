"""Paint the picture of a request: scene, medium, treatment, and the blend of img2img."""

import hashlib
from dataclasses import astuple, replace

import numpy as np
from PIL import Image

from simulator.art.canvas import Canvas
from simulator.art.choice import Scene, choose, words_of
from simulator.art.media.facets import facets
from simulator.art.media.glass import glass
from simulator.art.media.strokes import strokes
from simulator.art.media.watercolour import watercolour
from simulator.art.noise import Picture
from simulator.art.palettes import PALETTES
from simulator.art.treatment import develop
from simulator.png import Pixels
from simulator.request.rules import ImageCall

__all__ = ["paint"]

MAX_STEPS = 150
SMALLEST_PX = 32  # smaller pictures are cut from one of this size
LARGEST_PX = 2048  # uses 0.4 GB; larger pictures are enlarged from one of this size
COARSE = (facets, glass, strokes, watercolour)


def _dice(*parts: object) -> np.random.Generator:
    """Return a random generator that depends on these parts only, on every machine."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _coarse(scene: Scene, canvas: Canvas) -> Picture:
    """Paint a scene at half size and double it: enough for a medium that only uses its colours."""
    width, height = -(-canvas.width // 2), -(-canvas.height // 2)
    small = scene(replace(canvas, width=width, height=height))
    return small.repeat(2, axis=0).repeat(2, axis=1)[: canvas.height, : canvas.width]


def _compose(call: ImageCall) -> Pixels:
    motif = _dice("motif", call.prompt.casefold().split())
    choice = choose(call, motif)
    composition = _dice(
        "composition",
        call.prompt,
        call.negative_prompt,
        call.expand_prompt,
        call.model,
        call.prompt_filter,
        call.seed,
    )
    canvas = Canvas(
        width=max(call.width, SMALLEST_PX),
        height=max(call.height, SMALLEST_PX),
        rng=composition,
        palette=PALETTES[choice.colours],
        detail=(call.steps / MAX_STEPS) ** 0.5,
        words=words_of(call.prompt),
    )
    picture = choice.scene(canvas) if choice.medium not in COARSE else _coarse(choice.scene, canvas)
    if choice.medium is not None:
        picture = choice.medium(canvas, picture)
    picture = picture[: call.height, : call.width]
    everything = astuple(replace(call, init_image=None, strength=1.0))
    return develop(picture.astype(np.float32), call, _dice("grain", *everything))


def _sized(call: ImageCall) -> Pixels:
    """Compose at a size that fits in memory, and enlarge pictures that are larger."""
    shrink = LARGEST_PX / max(call.width, call.height)
    if shrink >= 1:
        return _compose(call)
    width, height = (max(1, round(side * shrink)) for side in (call.width, call.height))
    small = Image.fromarray(_compose(replace(call, width=width, height=height)))
    large = small.resize((call.width, call.height), Image.Resampling.BICUBIC)
    return np.asarray(large)


def paint(call: ImageCall, first: Pixels | None = None) -> Pixels:
    """Paint a picture.

    Args:
        call: The request. Without a seed the prompt's own hash takes its place, so that the same
            request always gives the same picture.
        first: For img2img, the first picture at the requested size.

    Returns:
        height x width x 3 bytes of sRGB.
    """
    if first is None:
        return _sized(call)
    if call.strength == 0:
        return first
    fresh = _sized(call)
    if call.strength == 1:
        return fresh
    share = np.float32(call.strength)
    blend = first * (1 - share) + fresh * share
    return np.asarray(blend + np.float32(0.5), np.uint8)

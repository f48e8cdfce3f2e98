"""The pictures: decided by the request, and by all of it."""

from typing import Any

import numpy as np
import pytest

from simulator.art import canned_pixels, paint
from simulator.art.choice import SCENES
from simulator.png import Pixels, encode_png
from simulator.request.rules import read_request
from simulator.request.vocabulary import FILTERS, MODELS


def painted(**fields: Any) -> Pixels:
    """A small picture of a fox, or of what the fields say."""
    return paint(read_request({"prompt": "a fox", "seed": 7, "width": 64, "height": 64, **fields}))


def test_the_same_request_gives_the_same_bytes() -> None:
    """Every picture can be made again."""
    assert encode_png(painted()) == encode_png(painted())


def test_without_a_seed_the_same_request_still_gives_the_same_picture() -> None:
    """The seed the service picks follows from the request."""
    assert np.array_equal(painted(seed=None), painted(seed=None))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a wolf"},
        {"negative_prompt": "trees"},
        {"filter_model": "Photorealism"},
        {"width": 96},
        {"height": 96},
        {"num_inference_steps": 51},
        {"guidance_scale": 8},
        {"scheduler": "DDIM"},
        {"seed": 8},
        {"expand_prompt": True},
        {"prompt_filter": "haze"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_parameter_changes_the_picture(change: dict[str, Any]) -> None:
    """No parameter is ignored."""
    assert not np.array_equal(painted(), painted(**change))


def test_another_seed_moves_the_composition() -> None:
    """Two seeds differ by more than grain."""
    apart = painted(prompt="the sea").astype(int) - painted(prompt="the sea", seed=9).astype(int)
    assert np.abs(apart).mean() > 8


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (17, 300), (333, 65)])
@pytest.mark.parametrize("words", [key.split()[0] for _, key in SCENES])
def test_every_motif_comes_in_exactly_the_size_asked_for(size: tuple[int, int], words: str) -> None:
    """Odd, tiny and narrow pictures included."""
    width, height = size
    pixels = painted(prompt=words, filter_model="Photorealism", width=width, height=height)
    assert pixels.shape == (height, width, 3)


def test_a_very_large_picture_has_its_size_too() -> None:
    """Wider than is painted directly."""
    assert painted(prompt="quilt", width=4096, height=32).shape == (32, 4096, 3)


@pytest.mark.parametrize("prompt_filter", FILTERS)
def test_every_filter_shows(prompt_filter: str) -> None:
    """Each filter gives a picture of its own."""
    plain, filtered = painted(prompt="city"), painted(prompt="city", prompt_filter=prompt_filter)
    assert not np.array_equal(plain, filtered)
    assert filtered.std() > 4


def test_the_models_look_different() -> None:
    """The three models treat one prompt differently, beyond grain."""
    means = {painted(filter_model=model).mean(axis=(0, 1)).round().tobytes() for model in MODELS}
    assert len(means) == len(MODELS)


@pytest.mark.parametrize(("strength", "origin"), [("0", "first"), ("1", "fresh")])
def test_the_ends_of_strength_are_pure(strength: str, origin: str) -> None:
    """Strength 0 is the first picture pixel for pixel, 1 a wholly new one."""
    first = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    call = read_request(
        {"prompt": "a fox", "seed": 7, "width": 64, "height": 64} | {"strength": strength}
    )
    expected = {"first": first, "fresh": painted()}[origin]
    assert np.array_equal(paint(call, first), expected)


def test_strength_between_blends() -> None:
    """Half way lies between both pictures, everywhere."""
    first = np.zeros((64, 64, 3), np.uint8)
    half = read_request(
        {"prompt": "a fox", "seed": 7, "width": 64, "height": 64, "strength": "0.5"}
    )
    blend, fresh = paint(half, first).astype(int), painted().astype(int)
    assert np.abs(blend * 2 - fresh).max() <= 2


def test_the_canned_picture_weighs_a_megabyte_and_a_half() -> None:
    """1.5 MB within one per cent, as a real picture of that size."""
    pixels = canned_pixels()
    assert pixels.shape == (1024, 1024, 3)
    assert abs(len(encode_png(pixels)) - 1_500_000) <= 15_000

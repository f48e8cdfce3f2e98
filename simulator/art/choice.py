"""Choose scene, medium and colours from the prompt's words, the filter and the model.

The prompt's words come first, then the filter, then the prompt's own hash. So two prompts without
known words still look different from each other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.art.canvas import Canvas
from simulator.art.media.facets import facets
from simulator.art.media.glass import glass
from simulator.art.media.lines import lines
from simulator.art.media.neon import neon
from simulator.art.media.poster import poster
from simulator.art.media.strokes import strokes
from simulator.art.media.watercolour import watercolour
from simulator.art.noise import Picture
from simulator.art.scenes.city import city
from simulator.art.scenes.desert import desert
from simulator.art.scenes.flower import flower
from simulator.art.scenes.forest import forest
from simulator.art.scenes.fox import fox
from simulator.art.scenes.mandala import mandala
from simulator.art.scenes.mountains import mountains
from simulator.art.scenes.nebula import nebula
from simulator.art.scenes.opart import opart
from simulator.art.scenes.rings import rings
from simulator.art.scenes.sea import sea
from simulator.art.scenes.spheres import spheres
from simulator.art.scenes.strata import strata
from simulator.art.scenes.tiles import tiles
from simulator.request.rules import ImageCall

__all__ = ["Scene", "choose", "words_of"]

Scene = Callable[[Canvas], Picture]
Medium = Callable[[Canvas, Picture], Picture]

SCENES: tuple[tuple[Scene, str], ...] = (
    (fox, "fox wolf cat dog animal bear tiger lion portrait face creature"),
    (
        sea,
        (
            "sea ocean wave surf storm ship boat sail "
            "harbor harbour beach coast whale lighthouse sailing sails"
        ),
    ),
    (
        city,
        "city street skyline tower building town tokyo metropolis cyberpunk downtown neon house",
    ),
    (nebula, "space galaxy nebula star planet cosmos astronaut universe comet saturn orbit"),
    (desert, "desert dune sand canyon camel sahara mars oasis"),
    (forest, "forest tree wood pine jungle grove path deer woodland"),
    (
        mountains,
        "mountain peak lake valley alps hill snow glacier fjord landscape river cabin castle",
    ),
    (
        flower,
        (
            "flower rose blossom bloom lotus petal tulip bouquet "
            "peony dahlia sunflower daisy lavender orchid bee butterfly"
        ),
    ),
    (mandala, "mandala kaleidoscope symmetry pattern ornament lace snowflake cathedral"),
    (rings, "ink zen ring ripple calligraphy minimal crane koi stone tea raked"),
    (tiles, "bauhaus geometric quilt tile poster mosaic abstract shapes textile"),
    (
        spheres,
        "ball sphere candy bubble marble toy fruit pearl balloon still planetarium orange apple",
    ),
    (opart, "illusion optical op-art hypnotic vortex maze spiral tunnel"),
    (strata, "agate marbled crystal geode gemstone mineral liquid smoke silk feather"),
)
COLOURS: tuple[tuple[str, str], ...] = (
    ("ink", "ink zen calligraphy raked"),
    ("aurora", "aurora northern"),
    ("neon", "neon cyberpunk synthwave tokyo"),
    ("night", "night midnight moon moonlit star starry nebula galaxy space cosmos"),
    ("dawn", "dawn sunset sunrise dusk evening twilight morning"),
    ("ember", "fire lava volcano ember dragon red phoenix burning copper"),
    ("blossom", "blossom cherry rose pink peony spring tulip"),
    ("ice", "ice snow winter frozen glacier arctic frost"),
    ("gold", "gold golden sunflower autumn brass honey amber royal bee"),
    ("desert", "desert dune sand canyon mars sahara clay"),
    ("forest", "forest jungle tree green pine leaf garden"),
    ("sea", "sea ocean wave underwater harbor harbour lake whale koi"),
    ("fog", "fog mist misty rain grey haze"),
    ("tropic", "tropical parrot paradise island toucan palm reef"),
    ("candy", "candy toy balloon festival carnival kite"),
    ("plum", "purple lavender violet plum dahlia grape"),
    ("print", "bauhaus print poster"),
    ("mono", "monochrome black white noir"),
    ("moss", "moss swamp fern tea"),
    ("steel", "robot machine steel steampunk engine train bridge"),
)
OFFERED = (
    "dawn",
    "plum",
    "teal_orange",
    "candy",
    "sea",
    "royal",
    "moss",
    "steel",
    "tropic",
    "ember",
)
PLAIN: dict[str, Scene] = {
    "radiant_symmetry": mandala,
    "saturated_space": nebula,
    "macro_realism": flower,
    "delicate_detail": flower,
    "closeup": flower,
    "portrait": fox,
    "cute_low_poly_3d": spheres,
    "black_and_white_3d": opart,
    "flat_palette": tiles,
    "wall_art": tiles,
    "hypersonic": opart,
    "dreamy_stickers": spheres,
    "wasteland": desert,
    "neon_mecha": city,
}
MEDIA: dict[str, Medium] = {
    "watercolor": watercolour,
    "ethereal_low_poly": facets,
    "cute_low_poly_3d": facets,
    "vibrant_glass": glass,
    "neon_mecha": neon,
    "futuristic_illumination": neon,
    "flat_palette": poster,
    "cartoon": poster,
    "dreamy_stickers": poster,
    "wall_art": poster,
    "moody_impressions": strokes,
    "lush_illustration": strokes,
    "masterpiece": strokes,
    "royalistic": strokes,
    "black_and_white_3d": lines,
}
FILTER_COLOURS: dict[str, str] = {
    "neon_mecha": "neon",
    "futuristic_illumination": "neon",
    "ethereal_low_poly": "royal",
    "black_and_white_3d": "mono",
    "saturated_space": "royal",
    "wasteland": "desert",
    "old-timey": "sepia",
    "yellow_fog": "gold",
    "royalistic": "gold",
    "cute_low_poly_3d": "candy",
    "dreamy_stickers": "candy",
    "cinematic_cold": "ice",
    "cinematic_warm": "teal_orange",
    "spielberg": "teal_orange",
    "ominous_escape": "night",
    "flat_palette": "print",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The scene, its medium (or none), and the palette's name."""

    scene: Scene
    medium: Medium | None
    colours: str


def words_of(prompt: str) -> frozenset[str]:
    """Return the prompt's words, lower case."""
    return frozenset(re.findall(r"[\w-]+", prompt.casefold()))


def _hit(words: frozenset[str], key: str) -> bool:
    return any(word in words or f"{word}s" in words for word in key.split())


def _scene(words: frozenset[str], call: ImageCall, rng: np.random.Generator) -> Scene:
    for scene, key in SCENES:
        if _hit(words, key):
            return scene
    if call.prompt_filter in PLAIN:
        return PLAIN[call.prompt_filter]
    return SCENES[int(rng.integers(len(SCENES)))][0]


def _colours(words: frozenset[str], call: ImageCall, rng: np.random.Generator) -> str:
    if call.prompt_filter in FILTER_COLOURS:
        return FILTER_COLOURS[call.prompt_filter]
    for name, key in COLOURS:
        if _hit(words, key):
            return name
    return OFFERED[int(rng.integers(len(OFFERED)))]


def choose(call: ImageCall, rng: np.random.Generator) -> Choice:
    """Choose for a request.

    Args:
        call: The request.
        rng: A random generator that depends on the prompt alone, so that seeds vary one motif.

    Returns:
        The choice.
    """
    words = words_of(call.prompt)
    colours = _colours(words, call, rng)
    return Choice(_scene(words, call, rng), MEDIA.get(call.prompt_filter or ""), colours)

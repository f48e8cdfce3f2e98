"""A checked request on its way out: seed chosen, initial image apart, exactly the API's form.

The wire form without its initial image is also what a table row keeps: it holds every set
parameter and nothing heavy. `restore_request` reads such a row back.
"""

import random
from typing import Final

import pybase64

from playground.request import vocabulary as words
from playground.request.request import ImageRequest, Limits, check_request

# The system's generator: processes that were forked or started together share no state.
_CHANCE: Final = random.SystemRandom()
_SEED_BITS: Final = words.MAX_SEED.bit_length()


def init_image_bytes(request: ImageRequest) -> bytes | None:
    """Decode the initial image, or return None if the request has none."""
    if request.init_image is None:
        return None
    return pybase64.b64decode(request.init_image, validate=True)


def to_wire(request: ImageRequest, *, init_image: bytes | None = None) -> dict[str, object]:
    """Write the JSON body that the API gets: unset parameters left out, `strength` a string.

    Args:
        request: a checked request.
        init_image: the decoded initial image where it was kept apart from the request.

    Returns:
        A dict of JSON types. Of a request without its initial image it is also the form that a
        table row keeps.
    """
    wire: dict[str, object] = request.model_dump(mode="python", exclude_none=True)
    if request.prompt_rejection_topics is not None:
        wire["prompt_rejection_topics"] = list(request.prompt_rejection_topics)
    if init_image is not None:
        wire["init_image"] = pybase64.b64encode_as_string(init_image)
    return wire


def kept_form(request: ImageRequest) -> dict[str, object]:
    """Write what a table row keeps: the wire form with a seed, and without the initial image."""
    kept = to_wire(request)
    kept.pop("init_image", None)
    kept.setdefault("seed", _seed())
    return kept


def _seed() -> int:
    # Bits that make no seed are thrown away, so every seed is as likely as any other.
    while not words.MIN_SEED <= (bits := _CHANCE.getrandbits(_SEED_BITS)) <= words.MAX_SEED:
        pass
    return bits


def restore_request(row: object) -> ImageRequest:
    """Read back what a table row keeps.

    The row was checked when its job was accepted, so a model name that the settings have
    forgotten since then still passes; everything else is checked as ever.

    Raises:
        RequestInvalid: the row is not a request any more.
    """
    return check_request(row, Limits(any_model=True))

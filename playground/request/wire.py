"""Turn a checked request into the API's wire form: seed chosen, initial image separate.

The wire form without its initial image is also what a table row stores: it holds every set
parameter and nothing large. `restore_request` reads such a row back.
"""

import random
from typing import Final

import pybase64

from playground.request import vocabulary as words
from playground.request.request import ImageRequest, RequestLimits, check_request

# The system's generator: processes that were forked or started together share no state.
_CHANCE: Final = random.SystemRandom()
_SEED_BITS: Final = words.MAX_SEED.bit_length()


def init_image_bytes(request: ImageRequest) -> bytes | None:
    """Decode the initial image, or return None if the request has none."""
    if request.init_image is None:
        return None
    return pybase64.b64decode(request.init_image, validate=True)


def to_wire(request: ImageRequest, *, init_image: bytes | None = None) -> dict[str, object]:
    """Return the JSON body for the API: unset parameters left out, `strength` as a string.

    Args:
        request: a checked request.
        init_image: the decoded initial image if it was stored separately from the request.

    Returns:
        A dict of JSON types. For a request without its initial image it is also the form that a
        table row stores.
    """
    wire: dict[str, object] = request.model_dump(mode="python", exclude_none=True)
    if request.prompt_rejection_topics is not None:
        wire["prompt_rejection_topics"] = list(request.prompt_rejection_topics)
    if init_image is not None:
        wire["init_image"] = pybase64.b64encode_as_string(init_image)
    return wire


def kept_form(request: ImageRequest) -> dict[str, object]:
    """Return what a table row stores: the wire form with a seed, and without the initial image."""
    kept = to_wire(request)
    kept.pop("init_image", None)
    kept.setdefault("seed", _seed())
    return kept


def _seed() -> int:
    # Values that are not valid seeds are discarded, so every seed is equally likely.
    while not words.MIN_SEED <= (bits := _CHANCE.getrandbits(_SEED_BITS)) <= words.MAX_SEED:
        pass
    return bits


def restore_request(row: object) -> ImageRequest:
    """Read back what a table row stores.

    The row was checked when its job was accepted. So a model name that the settings no longer
    contain still passes; everything else is checked as usual.

    Raises:
        RequestInvalid: the row is no longer a valid request.
    """
    return check_request(row, RequestLimits(any_model=True))

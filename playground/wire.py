"""A checked request on its way out: seed chosen, initial image apart, exactly the API's form.

The wire form without its initial image is also what a table row keeps: it holds every set
parameter and nothing heavy. `restore_request` reads such a row back.
"""

import random
from typing import Final

import pybase64

from playground import vocabulary as words
from playground.request import ImageRequest, Limits, check_request

# The system's generator: processes that were forked or started together share no state.
_CHANCE: Final = random.SystemRandom()


def with_seed(request: ImageRequest) -> ImageRequest:
    """Choose a seed (1..65535) where none is set, so that the image can be made again."""
    if request.seed is not None:
        return request
    seed = _CHANCE.randint(words.MIN_SEED, words.MAX_SEED)
    return request.model_copy(update={"seed": seed})


def init_image_bytes(request: ImageRequest) -> bytes | None:
    """Decode the initial image, or return None if the request has none."""
    if request.init_image is None:
        return None
    return pybase64.b64decode(request.init_image, validate=True)


def without_init_image(request: ImageRequest) -> ImageRequest:
    """Take the initial image off, for keeping it elsewhere."""
    if request.init_image is None:
        return request
    return request.model_copy(update={"init_image": None})


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


def restore_request(row: object) -> ImageRequest:
    """Read back what a table row keeps.

    The row was checked when its job was accepted, so a model name that the settings have
    forgotten since then still passes; everything else is checked as ever.

    Raises:
        RequestInvalid: the row is not a request any more.
    """
    return check_request(row, Limits(any_model=True))

"""When two requests are the same: as handed in, for who repeats himself; in effect, for reuse."""

import hashlib
import reprlib
from collections.abc import Mapping
from typing import Any

import orjson

from playground.request.request import ImageRequest
from playground.request.wire import init_image_bytes

__all__ = ["hash_of", "reuse_hash_of"]


def hash_of(raw: object) -> str:
    """SHA-256 of a request as handed in, before defaults and seed; key order is no matter."""
    try:
        text = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS, default=repr)
    except TypeError:  # its numbers, letters or depth are beyond JSON here, so it has faults anyway
        text = reprlib.repr(raw).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()


def reuse_hash_of(parsed: ImageRequest, kept: Mapping[str, Any]) -> str | None:
    """Of all that makes the image; None where Darkroom chose the seed, so that none is the same.

    Args:
        parsed: the request.
        kept: the same as its row keeps it.
    """
    if parsed.seed is None:
        return None
    image = init_image_bytes(parsed)
    return hash_of([kept, None if image is None else hashlib.sha256(image).hexdigest()])

"""Hash requests: as submitted, to recognise a repeat, and by effect, to find a reusable image."""

import hashlib
import reprlib
from collections.abc import Mapping
from typing import Any

import orjson

from playground.request.request import ImageRequest
from playground.request.wire import init_image_bytes

__all__ = ["hash_of", "reuse_hash_of"]


def hash_of(raw: object) -> str:
    """Return the SHA-256 of a request as submitted, before defaults and seed, in any key order."""
    try:
        text = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS, default=repr)
    except TypeError:  # not serialisable as JSON, so the request is invalid anyway
        text = reprlib.repr(raw).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()


def reuse_hash_of(parsed: ImageRequest, kept: Mapping[str, Any]) -> str | None:
    """Return the hash of everything that determines the image.

    If the request names no seed, return None: Darkroom chose one, so no other request is the same.

    Args:
        parsed: the request.
        kept: the request as its row stores it.
    """
    if parsed.seed is None:
        return None
    image = init_image_bytes(parsed)
    return hash_of([kept, None if image is None else hashlib.sha256(image).hexdigest()])

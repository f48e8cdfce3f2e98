"""The first image of an img2img request: base64 text in, the same text bare and proven out.

The page wants base64 of any format that Pillow reads. Producers also hand in data URLs and
wrapped lines; both are taken off here, because the wire form is bare. Pixels are never decoded:
a small file that unfolds to gigabytes is refused by the size its header declares.
"""

import io
import re
from typing import Final

import pybase64
from PIL import Image

from playground.faults import broken

# Ours: the page bounds neither. Pillow warns of a decompression bomb above the same number.
MAX_INIT_IMAGE_PIXELS: Final = 89_478_485
DEFAULT_MAX_INIT_IMAGE_BYTES: Final = 20 * 1024 * 1024

_DATA_URL: Final = re.compile(r"\s*data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)
_WHITE: Final = str.maketrans("", "", " \t\r\n")


def bare_base64(text: str, max_bytes: int) -> str:
    """Take off a data URL's head and line ends, and prove that an image is behind the rest.

    Args:
        text: base64, possibly as a data URL, possibly wrapped.
        max_bytes: the most bytes the decoded image may have.

    Returns:
        The same base64, bare.

    Raises:
        PydanticCustomError: naming the rule that was broken.
    """
    head = _DATA_URL.match(text[:256])
    bare = text[head.end() if head else 0 :].translate(_WHITE)
    if len(bare) // 4 * 3 > max_bytes + 2:
        raise _too_large(max_bytes)
    data = _decoded(bare)
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    _prove_image(data)
    return bare


def _too_large(max_bytes: int) -> Exception:
    return broken(f"an image of at most {max_bytes} bytes")


def _decoded(bare: str) -> bytes:
    try:
        return pybase64.b64decode(bare, validate=True)
    except ValueError:
        raise broken("base64 text (standard alphabet, with padding)") from None


def _prove_image(data: bytes) -> None:
    too_many = broken(f"an image of at most {MAX_INIT_IMAGE_PIXELS} pixels")
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many from None
    except Exception:  # noqa: BLE001 - Pillow's readers raise whatever hostile bytes provoke
        raise broken("base64 of an image in a format that Pillow reads") from None
    if pixels > MAX_INIT_IMAGE_PIXELS:
        raise too_many

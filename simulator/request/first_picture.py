"""Open the picture that an img2img call starts from, with a limit against decompression bombs."""

import io
import warnings

import numpy as np
from PIL import Image

from simulator.errors import Broken, RequestBroken
from simulator.png import Pixels

__all__ = ["read_first_picture"]

MAX_PIXELS = 40_000_000  # the simulator's own limit: 120 MB once decoded
UNSAFE_FORMATS = frozenset({"EPS"})  # Pillow passes these to another program


def _check_safe(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS or picture.format in UNSAFE_FORMATS:
        raise RequestBroken([Broken("init_image", "is larger than is safe to open")])


def read_first_picture(data: bytes, size: tuple[int, int]) -> Pixels:
    """Decode a picture of any format Pillow reads and resize it to the requested size.

    Args:
        data: The picture's file.
        size: Width and height in pixels.

    Returns:
        height x width x 3 bytes of sRGB.

    Raises:
        RequestBroken: It is not a picture, is damaged, or has more pixels than is safe.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
            _check_safe(picture)
            return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    except RequestBroken:
        raise
    except Exception as error:  # a damaged file may raise any error in its decoder
        raise RequestBroken([Broken("init_image", "is not a picture Pillow can read")]) from error

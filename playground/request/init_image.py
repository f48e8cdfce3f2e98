"""Check the initial image of an img2img request and reduce it to bare base64.

The page wants base64 of any format that Pillow reads; of those, only common exchange formats are
accepted. Producers also submit data URLs and wrapped lines; both are removed here, because the wire
form is bare. Pixels are never decoded: a small file that unpacks to gigabytes is refused by the
size that its header declares.

Pillow reads some headers a byte at a time, and skips comments and padding of any length: a few
kilobytes of gzip can hold megabytes of them. So the number of bytes and of read steps is limited.
"""

import io
import re
from typing import Final

import pybase64
from PIL import Image

from playground.request.rules import broken

# Chosen for Darkroom: the page limits neither. Pillow warns of a decompression bomb above the same
# number.
MAX_INIT_IMAGE_PIXELS: Final = 89_478_485
DEFAULT_MAX_INIT_IMAGE_BYTES: Final = 20 * 1024 * 1024

#: Chosen for Darkroom: what programs export. Pillow reads more, EPS and PPM with comments of any
#: length.
FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

#: Chosen for Darkroom, for finding an image's size. With three megabytes of colour profile before
#: it, Pillow 13 takes 230 steps.
MAX_HEADER_BYTES: Final = 4_000_000
MAX_HEADER_READS: Final = 20_000
MAX_WHOLE_READS: Final = 4

_DATA_URL: Final = re.compile(r"\s*data:[\w.+/-]*(?:;[\w.+=-]+)*;base64,", re.ASCII | re.IGNORECASE)
_WHITE: Final = str.maketrans("", "", " \t\r\n")


def bare_base64(text: str, max_bytes: int) -> str:
    """Remove a data URL's head and line ends, and check that the rest is an image.

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
        with Image.open(_Header(data), formats=FORMATS) as image:
            pixels = image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many from None
    except _HeaderTooLong:
        raise broken("an image whose size is within the first bytes of its file") from None
    except Exception:  # noqa: BLE001 - Pillow's readers raise whatever hostile bytes provoke
        raise broken(f"base64 of an image: {', '.join(FORMATS)}") from None
    if pixels > MAX_INIT_IMAGE_PIXELS:
        raise too_many


class _HeaderTooLong(Exception):
    """Pillow reached the read limit before it found the image's size."""


class _Header(io.BytesIO):
    """A file that limits the bytes read and the number of read steps.

    The readers of WebP and AVIF take the whole file at once, which is one copy of it.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left_bytes = MAX_HEADER_BYTES
        self._left_reads = MAX_HEADER_READS
        self._left_whole_reads = MAX_WHOLE_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as a file does.

        Raises:
            _HeaderTooLong: a limit is reached.
        """
        if size is None or size < 0:
            self._left_whole_reads -= 1
        else:
            self._left_reads -= 1
            self._left_bytes -= size
        if min(self._left_bytes, self._left_reads, self._left_whole_reads) < 0:
            raise _HeaderTooLong
        return super().read(size)

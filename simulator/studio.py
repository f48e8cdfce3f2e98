"""Make pictures: painted in a few threads, or the canned one prepared once.

Calls that wait hold no thread; only painting does, and NumPy releases the interpreter for most of
it.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from simulator.answers import Finished, images
from simulator.art import canned_pixels, paint
from simulator.png import Pixels, encode_png
from simulator.request.first_picture import read_first_picture
from simulator.request.rules import ImageCall

__all__ = ["Studio"]


class Studio:
    """Makes the PNG for a request.

    Args:
        canned: Always return one prepared 1024x1024 picture of 1.5 MB.
    """

    def __init__(self, *, canned: bool) -> None:
        self._pool = ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="paint")
        self._canned = _finished(encode_png(canned_pixels())) if canned else None

    async def first_picture(self, call: ImageCall) -> Pixels | None:
        """Decode the picture an img2img call starts from, at the requested size.

        Raises:
            RequestBroken: It is not a picture, or is too large to open safely.
        """
        if call.init_image is None:
            return None
        loop = asyncio.get_running_loop()
        size = (call.width, call.height)
        return await loop.run_in_executor(self._pool, read_first_picture, call.init_image, size)

    async def finish(self, call: ImageCall, first: Pixels | None) -> Finished:
        """Make the picture, and the answer that contains it."""
        if self._canned is not None:
            return self._canned
        loop = asyncio.get_running_loop()
        return _finished(await loop.run_in_executor(self._pool, _draw, call, first))

    def close(self) -> None:
        """Drop what is not painted yet."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _finished(png: bytes) -> Finished:
    return Finished(png, images(png))


def _draw(call: ImageCall, first: Pixels | None) -> bytes:
    return encode_png(paint(call, first))

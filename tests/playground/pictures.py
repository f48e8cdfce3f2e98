"""Small real pictures for tests, made by Pillow."""

import base64
import io

from PIL import Image


def picture(width: int = 4, height: int = 3, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Encode a small picture."""
    file = io.BytesIO()
    Image.new(mode, (width, height), 1).save(file, kind)
    return file.getvalue()


def base64_of(data: bytes) -> str:
    """Encode bytes the plain way."""
    return base64.b64encode(data).decode()

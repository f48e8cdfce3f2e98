"""Wrap complete pictures in unusual forms, as slightly incorrect servers do; nothing is lost."""

import base64
import binascii
import json
import struct
from collections.abc import Callable

from simulator.answers import Answer, images, images_body

__all__ = ["FORMS", "untidy"]

END_CHUNK_BYTES = 12


def _encoded(png: bytes) -> str:
    return base64.b64encode(png).decode()


def _answer(image: str) -> Answer:
    return Answer(200, json.dumps({"images": [image]}).encode())


def _with_spoilt_note(png: bytes) -> bytes:
    """Add a text chunk whose CRC is wrong, before the end."""
    data = b"Comment\0a note"
    note = struct.pack(">I", len(data)) + b"tEXt" + data
    wrong = binascii.crc32(b"tEXt" + data) ^ 1
    return png[:-END_CHUNK_BYTES] + note + struct.pack(">I", wrong) + png[-END_CHUNK_BYTES:]


FORMS: dict[str, Callable[[bytes], Answer]] = {
    "newline": lambda png: _answer(_encoded(png) + "\n"),
    "lines": lambda png: _answer(base64.encodebytes(png).decode()),
    "url_safe": lambda png: _answer(base64.urlsafe_b64encode(png).decode()),
    "no_padding": lambda png: _answer(_encoded(png).rstrip("=")),
    "data_url": lambda png: _answer(f"data:image/png;base64,{_encoded(png)}"),
    "tail": lambda png: images(png + b"\0"),
    "wrong_crc": lambda png: images(_with_spoilt_note(png)),
    "bom": lambda png: Answer(200, b"\xef\xbb\xbf" + images_body(png)),
    "utf16": lambda png: Answer(200, images_body(png).decode().encode("utf-16")),
    "latin1": lambda png: Answer(200, b'{"note":"caf\xe9",' + images_body(png)[1:]),
    "created": lambda png: Answer(201, images_body(png)),
    "bare": lambda png: Answer(200, png, "image/png"),
    "text": lambda png: Answer(200, _encoded(png).encode(), "text/plain"),
    "nested": lambda png: Answer(200, json.dumps({"data": [{"b64": _encoded(png)}]}).encode()),
}


def untidy(png: bytes, form: str | None, hits: int) -> Answer:
    """Return a success around a complete picture.

    Args:
        png: The picture.
        form: Which of `FORMS`; None uses them in turn.
        hits: How often the rule has applied, which selects the form.
    """
    return FORMS[form or list(FORMS)[hits % len(FORMS)]](png)

"""What finding out the size of an initial image may cost, whatever its header holds."""

import io
import os
import struct
import zlib

import pytest
from PIL import Image

from playground.errors import RequestInvalid
from playground.request import init_image
from playground.request.request import check_request
from tests.playground.pictures import base64_of, picture

MANY = 200_000


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _tiff_of_many_tags() -> bytes:
    """65,535 tags, each of which points at the same large value."""
    tag = struct.pack("<HHII", 270, 2, 400_000, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 65_535) + tag * 65_535


IHDR = _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))

HOSTILE = {
    "jpeg-fill-bytes": b"\xff\xd8" + b"\xff" * MANY,
    "jpeg-junk": b"\xff\xd8\xff" + b"\0" * MANY,
    "png-chunks": b"\x89PNG\r\n\x1a\n" + IHDR + _chunk(b"tIME", b"1234567") * MANY,
    "gif-comments": b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b"!\xfe\x01a\0" * MANY,
    "tiff-tags": _tiff_of_many_tags(),
    "eps-comments": b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%%x\n" * MANY,
    "ppm-comment": b"P6\n" + b"#" * MANY,
}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all reads that Pillow makes."""
    seen: list[int] = []
    plain = init_image._Header.read

    def read(self: init_image._Header, size: int | None = -1, /) -> bytes:
        found = plain(self, size)
        seen.append(len(found))
        return found

    monkeypatch.setattr(init_image._Header, "read", read)
    return seen


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_without_end_costs_a_bounded_number_of_steps(name: str, steps: list[int]) -> None:
    """Pillow reads padding byte by byte and comments one by one; it may not do so indefinitely."""
    with pytest.raises(RequestInvalid) as caught:
        check_request({"prompt": "x", "init_image": base64_of(HOSTILE[name])})
    assert [fault.field for fault in caught.value.faults] == ["init_image"]
    assert len(steps) <= init_image.MAX_HEADER_READS
    assert sum(steps) <= init_image.MAX_HEADER_BYTES


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "PCX", "ICO"])
def test_a_format_in_which_nobody_exchanges_pictures_is_refused(kind: str) -> None:
    """The fault names the formats that are accepted."""
    with pytest.raises(RequestInvalid) as caught:
        check_request({"prompt": "x", "init_image": base64_of(picture(16, 16, kind))})
    assert "PNG, JPEG, WEBP" in caught.value.faults[0].rule


@pytest.mark.parametrize("kind", init_image.FORMATS)
def test_a_large_image_with_a_large_colour_profile_passes(kind: str) -> None:
    """Real pictures stay far from the bounds."""
    file = io.BytesIO()
    Image.new("RGB", (1500, 1000), 7).save(file, kind, icc_profile=os.urandom(500_000))
    text = base64_of(file.getvalue())
    assert check_request({"prompt": "x", "init_image": text}).init_image == text

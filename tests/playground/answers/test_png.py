"""Whether bytes are one whole PNG."""

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from playground.answers.png import SIGNATURE, check_png, chunk
from playground.errors import PngDamaged
from tests.playground.pictures import picture

WHOLE = picture(17, 9)
END = chunk(b"IEND", b"")


def file_of(*chunks: bytes) -> bytes:
    """Put chunks together to a file."""
    return SIGNATURE + b"".join(chunks)


def header(width: int = 1, height: int = 1, rest: bytes = b"\x08\x02\0\0\0") -> bytes:
    """Make an IHDR chunk."""
    return chunk(b"IHDR", struct.pack(">II", width, height) + rest)


DATA = chunk(b"IDAT", b"x")
BROKEN = {
    "empty": (b"", "no bytes"),
    "a page": (b"<html>", "signature"),
    "signature alone": (SIGNATURE, "cut short"),
    "no header": (file_of(DATA, END), "header"),
    "short header": (file_of(chunk(b"IHDR", b"123"), DATA, END), "wrong place"),
    "two headers": (file_of(header(), header(), DATA, END), "wrong place"),
    "no data": (file_of(header(), END), "IDAT"),
    "no end": (file_of(header(), DATA), "cut short"),
    "full end": (file_of(header(), DATA, chunk(b"IEND", b"x")), "carries data"),
    "end amid data": (WHOLE[:-12] + END[:-1] + b"\0", "wrong CRC"),
    "no width": (file_of(header(0, 1), DATA, END), "size"),
    "no height": (file_of(header(1, 0), DATA, END), "size"),
    "vast": (file_of(header(2**31, 1), DATA, END), "size"),
    "depth": (file_of(header(rest=b"\x03\x02\0\0\0"), DATA, END), "values"),
    "colour": (file_of(header(rest=b"\x08\x05\0\0\0"), DATA, END), "values"),
    "packing": (file_of(header(rest=b"\x08\x02\x01\0\0"), DATA, END), "values"),
    "lacing": (file_of(header(rest=b"\x08\x02\0\0\x02"), DATA, END), "values"),
    "palette": (file_of(header(rest=b"\x08\x03\0\0\0"), DATA, END), "PLTE"),
    "kind": (file_of(header(), chunk(b"ID4T", b"x"), END), "no chunk"),
    "length": (file_of(header(), b"\xff\xff\xff\xffIDAT" + b"x" * 8), "no chunk"),
}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pillows_own_pictures_are_whole(mode: str) -> None:
    """Every colour type passes, and its size is read."""
    png = check_png(picture(33, 20, mode=mode))
    assert (png.width, png.height) == (33, 20)
    assert png.data == picture(33, 20, mode=mode)


# The table of PNG specification 11.2.1.
LEGAL = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}


@pytest.mark.parametrize("depth", range(1, 18))
@pytest.mark.parametrize("colour", range(8))
def test_a_header_has_the_depths_of_its_colour_type_alone(colour: int, depth: int) -> None:
    """Every pair of the specification's table passes, and no other."""
    head = header(rest=bytes([depth, colour, 0, 0, 1]))
    data = file_of(head, chunk(b"PLTE", b"rgb"), DATA, END)
    if depth in LEGAL.get(colour, set()):
        assert check_png(data).data == data
    else:
        with pytest.raises(PngDamaged, match="values"):
            check_png(data)


@pytest.mark.parametrize("tail", [b"\0", b"\n", WHOLE, b"-- \r\n" * 999])
def test_bytes_after_the_end_are_cut_off(tail: bytes) -> None:
    """They are no part of the picture, which is whole."""
    assert check_png(WHOLE + tail) == check_png(WHOLE)


NOTE = chunk(b"tEXt", b"Comment\0a note")
SPOILT_NOTE = NOTE[:-1] + bytes([NOTE[-1] ^ 1])


@pytest.mark.parametrize("at", [33, len(WHOLE) - 12], ids=["first", "last"])
def test_a_wrong_crc_in_an_ancillary_chunk_costs_no_picture(at: int) -> None:
    """The specification lets decoders survive it; what is kept are the bytes as they came."""
    spoilt = WHOLE[:at] + SPOILT_NOTE + WHOLE[at:]
    assert check_png(spoilt).data == spoilt


def in_pieces(sizes: int) -> list[bytes]:
    """Write one picture's data as several chunks."""
    raw = b"".join(b"\0" + bytes(range(51)) for _ in range(9))
    data = zlib.compress(raw, 0)
    return [chunk(b"IDAT", data[at : at + sizes]) for at in range(0, len(data), sizes)]


@pytest.mark.parametrize("which", [0, 3, -1])
def test_data_that_became_an_ancillary_chunk_by_a_flipped_bit_is_missed(which: int) -> None:
    """Its CRC is wrong, as an ancillary chunk's may be: so the pixels themselves are checked."""
    data = in_pieces(50)
    whole = file_of(header(17, 9), *data, END)
    assert check_png(whole).data == whole
    data[which] = data[which].replace(b"IDAT", b"iDAT")
    with pytest.raises(PngDamaged, match="picture data"):
        check_png(file_of(header(17, 9), *data, END))


def test_picture_data_that_inflates_without_end_is_not_inflated_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small answer must not cost gigabytes of work."""
    monkeypatch.setattr("playground.answers.png._MAX_INFLATED_BYTES", 100_000)
    bomb = chunk(b"IDAT", zlib.compress(bytes(50_000_000)))
    with pytest.raises(PngDamaged, match="too much data"):
        check_png(file_of(header(), SPOILT_NOTE, bomb, END))


def test_text_and_many_data_chunks_are_whole() -> None:
    """A picture with notes and more than one data chunk passes."""
    file = io.BytesIO()
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("note", "ü")
    Image.effect_noise((400, 400), 90).save(file, "PNG", pnginfo=notes)
    assert check_png(file.getvalue()).width == 400


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_picture_is_refused_with_its_reason(name: str) -> None:
    """Each way of being broken is reported in its own words."""
    data, reason = BROKEN[name]
    with pytest.raises(PngDamaged, match=reason):
        check_png(data)


def test_a_picture_cut_short_anywhere_is_noticed() -> None:
    """No prefix of a picture passes for it."""
    for size in range(len(WHOLE)):
        with pytest.raises(PngDamaged):
            check_png(WHOLE[:size])


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    """Signature, lengths, types, data and CRCs: one bit is enough."""
    for bit in range(len(WHOLE) * 8):
        flipped = bytearray(WHOLE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PngDamaged):
            check_png(bytes(flipped))


@given(st.binary(max_size=200), st.booleans())
@settings(deadline=None)
def test_any_bytes_are_judged_without_a_crash(data: bytes, signed: bool) -> None:  # noqa: FBT001 - Hypothesis passes by position
    """Garbage is damaged, and nothing else is ever raised."""
    with pytest.raises(PngDamaged):
        check_png(SIGNATURE + data if signed else data)


def test_its_repr_is_short() -> None:
    """A picture in a log line does not bring its bytes along."""
    assert len(repr(check_png(WHOLE))) < 60

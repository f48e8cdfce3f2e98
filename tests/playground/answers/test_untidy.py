"""Intact pictures in untidy wrappings, and what only looks like one."""

import base64
import gzip
import hashlib
import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.answers import base64_text as base64_module
from playground.answers.base64_text import decode_base64, runs_of_base64
from playground.answers.judge import judge
from playground.answers.png import chunk
from playground.answers.untidy import find_images
from playground.answers.verdict import Answer, Meaning, Verdict
from tests.playground.pictures import base64_of, picture

PNG = picture(61, 53)
# Of a size whose base64 is padded, and with both characters that the url-safe alphabet replaces.
NOTED = PNG[:33] + chunk(b"tEXt", b"Comment\0" + bytes(range(248, 256)) * 3 + b"..") + PNG[33:]
WHOLE = base64_of(NOTED)
OTHER = base64_of(picture(5, 5))
assert WHOLE.endswith("=")
assert {"+", "/"} <= set(WHOLE)


def received(body: bytes, status: int = 200, content_type: str = "application/json") -> Verdict:
    """Judge an answer."""
    return judge(Answer(status, {"Content-Type": content_type}, body))


def answer(image: object, **fields: object) -> bytes:
    """Write an answer of the API's shape."""
    return json.dumps({**fields, "images": [image]}).encode()


def in_lines(text: str, end: str, width: int = 76) -> str:
    """Break a text into lines."""
    return end.join(text[at : at + width] for at in range(0, len(text), width))


ESCAPED = WHOLE.replace("/", "\\/").replace("+", "\\u002b").replace("=", "\\u003D")
TIDY = answer(WHOLE)
UNTIDY: dict[str, bytes] = {
    "newline behind the base64": answer(WHOLE + "\n"),
    "white space around the base64": answer(f" \t\r\n{WHOLE} \n"),
    "lines of 76": answer(in_lines(WHOLE, "\r\n")),
    "lines of 64": answer(in_lines(WHOLE, "\n", 64)),
    "raw line breaks in the JSON string": TIDY.replace(
        WHOLE.encode(), in_lines(WHOLE, "\n").encode()
    ),
    "line breaks escaped twice": answer(in_lines(WHOLE, "\\n")),
    "invisible characters": answer("\ufeff\u200b" + in_lines(WHOLE, "\u200b\u00a0")),
    "url-safe alphabet": answer(base64.urlsafe_b64encode(NOTED).decode()),
    "no padding": answer(WHOLE.rstrip("=")),
    "url-safe without padding": answer(base64.urlsafe_b64encode(NOTED).decode().rstrip("=")),
    "too much padding": answer(WHOLE + "=="),
    "a tail behind the padding": answer(WHOLE + "AAAA"),
    "slashes escaped": f'{{"images":["{ESCAPED}"]}}'.encode(),
    "percent-encoded": answer(WHOLE.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")),
    "plus signs turned into spaces": answer(WHOLE.replace("+", " ")),
    "data URL": answer(f"data:image/png;base64,{WHOLE}"),
    "data URL with parameters and line breaks": answer(
        f"\ndata:image/png;charset=utf-8;BASE64,{in_lines(WHOLE, chr(10))}"
    ),
    "byte-order mark": b"\xef\xbb\xbf" + TIDY,
    "UTF-16 with its mark": TIDY.decode().encode("utf-16"),
    "UTF-16 without": TIDY.decode().encode("utf-16-be"),
    "UTF-32": TIDY.decode().encode("utf-32"),
    "white space before": b"\r\n\r\n\v" + TIDY,
    "invalid bytes in another field": answer(WHOLE, note="NOTE").replace(b"NOTE", b"caf\xe9\xff"),
    "lone surrogate in another field": answer(WHOLE, note="\ud800"),
    "control characters in another field": answer(WHOLE, note="NOTE").replace(b"NOTE", b"\0\x01\n"),
    "number too long in another field": answer(WHOLE, seed=1).replace(b"1,", b"9" * 5000 + b","),
    "NaN in another field": answer(WHOLE, score=float("nan")),
    "deep nesting in another field": answer(WHOLE, deep=1).replace(
        b'"deep": 1', b'"deep": ' + b"[" * 3000 + b"]" * 3000
    ),
    "cut short behind the picture": TIDY[: -len('"]}')],
    "brackets missing": TIDY[:-1],
    "cut short, behind other pictures": (
        f'{{"init_image": "{OTHER}", "thumbnail": "{OTHER}", "image": "{WHOLE}"'.encode()
    ),
    "comma too much": TIDY.replace(b"]", b",]"),
    "bytes behind the JSON": TIDY + b"\0\0</html>",
    "two values": b'{"progress": 1}\n' + TIDY,
    "events": b'event: done\ndata: {"progress": 1}\n\ndata: ' + TIDY + b"\n\n",
    "callback": b"/**/callback(" + TIDY + b");",
    "single quotes": TIDY.replace(b'"', b"'"),
    "duplicate keys": b'{"images":["%s"],"images":[]}' % WHOLE.encode(),
    "text instead of a list": json.dumps({"images": WHOLE}).encode(),
    "object in the list": answer({"b64_json": WHOLE, "seed": 7}),
    "another field": json.dumps({"image": WHOLE}).encode(),
    "nested": json.dumps({"data": {"result": [{"images": [WHOLE]}]}}).encode(),
    "a list alone": json.dumps([WHOLE]).encode(),
    "a JSON string alone": json.dumps(WHOLE).encode(),
    "JSON in a JSON string": json.dumps(TIDY.decode()).encode(),
    "a list of byte values": answer({"type": "Buffer", "data": list(NOTED)}),
    "bare base64": WHOLE.encode(),
    "bare base64 in lines": base64.encodebytes(NOTED),
    "bare data URL": b"data:image/png;base64," + WHOLE.encode(),
    "bare PNG": NOTED,
    "bare PNG behind a byte-order mark": b"\xef\xbb\xbf\n" + NOTED,
    "bare PNG with a tail": NOTED + b"\r\n",
    "multipart": (
        b'--x\r\nContent-Type: application/json\r\n\r\n{"seed": 7}\r\n'
        b"--x\r\nContent-Type: image/png\r\n\r\n" + NOTED + b"\r\n--x--\r\n"
    ),
    "packed, and no header says so": gzip.compress(TIDY),
    "byte behind IEND": answer(base64_of(NOTED + b"\0")),
    "another file behind IEND": answer(base64_of(NOTED + picture(3, 3))),
}


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
@pytest.mark.parametrize("name", UNTIDY)
def test_an_intact_picture_is_received_however_it_is_wrapped(name: str, status: int) -> None:
    """What is kept is the picture alone, byte for byte."""
    verdict = received(UNTIDY[name], status)
    assert verdict.meaning is Meaning.RECEIVED, verdict
    assert [hashlib.sha256(png.data).digest() for png in verdict.images] == [
        hashlib.sha256(NOTED).digest()
    ]
    assert not verdict.is_foreign


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "image/png", "", "nonsense"])
@pytest.mark.parametrize("body", [TIDY, NOTED, WHOLE.encode()], ids=["JSON", "PNG", "base64"])
def test_the_content_type_does_not_decide(body: bytes, content_type: str) -> None:
    """Servers label what they send as they like."""
    assert received(body, content_type=content_type).images[0].data == NOTED


def test_a_wrong_crc_in_an_ancillary_chunk_is_received() -> None:
    """The pixels are whole."""
    note = chunk(b"tEXt", b"Comment\0x")
    spoilt = PNG[:33] + note[:-1] + bytes([note[-1] ^ 1]) + PNG[33:]
    assert received(answer(base64_of(spoilt))).images[0].data == spoilt


def test_several_pictures_keep_their_order_and_lose_only_the_damaged() -> None:
    """One untidy entry does not cost its neighbours."""
    body = json.dumps({"images": ["***", WHOLE + "\n", OTHER.rstrip("="), WHOLE[:-40]]}).encode()
    verdict = received(body)
    assert [png.data for png in verdict.images] == [NOTED, picture(5, 5)]
    assert "2 damaged" in verdict.message


DAMAGED: dict[str, bytes] = {
    "cut short": answer(WHOLE[: len(WHOLE) // 2]),
    "cut short, and the JSON with it": TIDY[: len(TIDY) // 2],
    "a character missing": answer(WHOLE[:150] + WHOLE[151:]),
    "characters of no alphabet": answer(WHOLE[:150] + "!*" + WHOLE[152:]),
    "a bit flipped": answer(base64_of(NOTED[:-30] + bytes([NOTED[-30] ^ 4]) + NOTED[-29:])),
    "its end missing": answer(base64_of(NOTED[:-12])),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_picture_of_the_apis_is_useless(name: str) -> None:
    """Untidy is not damaged, and damaged is not untidy."""
    verdict = received(DAMAGED[name])
    assert (verdict.meaning, verdict.images) == (Meaning.USELESS, ())


def parts(*pngs: bytes) -> bytes:
    """Write a multipart answer."""
    return (
        b"".join(b"--x\r\nContent-Type: image/png\r\n\r\n%b\r\n" % png for png in pngs) + b"--x--"
    )


def test_a_picture_inside_another_is_not_one_of_the_parts() -> None:
    """Credentials may hold a small copy of what they sign."""
    outer = PNG[:33] + chunk(b"caBX", b"\r\n\r\n" + picture(5, 5)) + PNG[33:]
    assert [png.data for png in received(parts(outer, picture(3, 3))).images] == [
        outer,
        picture(3, 3),
    ]


def test_only_so_many_parts_are_read() -> None:
    """Each costs a copy of what is behind it."""
    assert len(received(parts(*[picture(3, 3)] * 20)).images) == 8


PASSED_OVER: dict[str, tuple[bytes, Meaning]] = {
    "a page with a logo": (
        f'<html><img src="data:image/png;base64,{OTHER}"></html>'.encode(),
        Meaning.UNKNOWN,
    ),
    "a page behind a remark": (
        f"{'ok' + chr(10) * 4000}<script>x='{OTHER}'</script>".encode(),
        Meaning.UNKNOWN,
    ),
    "the initial image, sent back": (
        json.dumps({"error": "no", "request": {"init_image": OTHER}}).encode(),
        Meaning.USELESS,
    ),
    "the initial image in torn JSON": (
        f'{{"images": [], "init_image": "{OTHER}", "x'.encode(),
        Meaning.USELESS,
    ),
    "a thumbnail beside a damaged picture": (
        json.dumps({"images": [WHOLE[:-40]], "thumbnail": OTHER}).encode(),
        Meaning.USELESS,
    ),
    "a picture inside a damaged one": (
        answer(base64_of(PNG[:33] + chunk(b"caBX", b"x" + picture(5, 5)) + PNG[33:-40])),
        Meaning.USELESS,
    ),
    "a bare picture inside a damaged one": (
        PNG[:33] + chunk(b"caBX", b"\r\n\r\n" + picture(5, 5)) + PNG[33:-40],
        Meaning.UNKNOWN,
    ),
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_not_every_png_is_the_picture(name: str) -> None:
    """A logo, an initial image or a thumbnail must not end a job as its picture."""
    body, meaning = PASSED_OVER[name]
    verdict = received(body)
    assert (verdict.meaning, verdict.images) == (meaning, ())


@given(st.binary(max_size=60), st.integers(0, 3), st.sampled_from(["", "\n", " ", "\\n", "%0A"]))
def test_any_bytes_are_decoded_from_any_spelling(data: bytes, cut: int, end: str) -> None:
    """Both alphabets, with and without padding, broken or not."""
    for encoded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        padding = min(cut, encoded.count("="))
        spelled = in_lines(encoded[: len(encoded) - padding], end or "\r\n", 5)
        assert decode_base64(spelled) == data


def test_bits_that_make_no_byte_are_dropped() -> None:
    """One character more than groups of four is six bits: nothing else is lost with it."""
    assert decode_base64("QUJDR") == b"ABC"
    assert decode_base64("QUJDRA") == b"ABCD"


@pytest.mark.parametrize("text", ["QUJD!UJD", "QUJD%21UJD", "QUJD\\u0021UJD", "QÜJD"])
def test_a_character_of_no_alphabet_is_refused_however_it_is_written(text: str) -> None:
    """Left out, it would make another picture of the rest."""
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's own words
        decode_base64(text)


@given(st.text(max_size=60) | st.none() | st.integers() | st.binary(max_size=9))
def test_what_is_no_base64_is_a_value_error(text: Any) -> None:
    """And nothing else is raised."""
    with suppress(ValueError):
        assert isinstance(decode_base64(text), bytes)


class Counting:
    """A pattern that notes how many characters its searches have passed."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.passed = 0

    def finditer(self, text: str) -> Any:
        """Search, and count."""
        for found in self._pattern.finditer(text):
            self.passed += found.end() - found.start()
            yield found


@pytest.mark.parametrize(
    "seed", ["iVBORw0KGgo,", "iVBORw0KGgo\\", "\\u00", "%", '{"images":["', "["]
)
def test_hostile_text_is_passed_once(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it seems to begin a picture."""
    counting = Counting(base64_module._RUN)
    monkeypatch.setattr(base64_module, "_RUN", counting)
    text = seed * (100_000 // len(seed))
    list(runs_of_base64(text))
    assert counting.passed <= len(text)
    monkeypatch.undo()
    assert find_images(text.encode()).images == ()


def test_a_text_of_nothing_but_beginnings_is_not_tried_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each try costs more than the bytes it is made of."""
    tried: list[str] = []

    def decode(text: str) -> bytes:
        tried.append(text)
        return decode_base64(text)

    monkeypatch.setattr("playground.answers.untidy.decode_base64", decode)
    assert find_images(b"iVBORw0KGgo," * 20_000).images == ()
    assert find_images(json.dumps({"images": ["iVBORw0KGgo"] * 20_000}).encode()).images == ()
    assert find_images(json.dumps({"image": ["iVBORw0KGgo"] * 20_000}).encode()).images == ()
    assert len(tried) <= 400


def test_what_is_packed_is_unpacked_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small answer must not fill the memory."""
    monkeypatch.setattr("playground.answers.untidy._MAX_UNPACKED_BYTES", 100)
    assert received(gzip.compress(answer(WHOLE))).meaning is not Meaning.RECEIVED
    assert received(gzip.compress(b"")).meaning is Meaning.UNKNOWN

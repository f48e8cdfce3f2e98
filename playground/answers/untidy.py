"""Find intact images in a response with malformed wrapping.

An image that is paid for and whole must not be lost because of what surrounds it: line breaks in
its base64, a byte-order mark, invalid bytes in another field, another field's name. Only responses
that the fast path (`lone_image.py`) refuses come here, so this may cost some copies. Its time is
linear in the response's size.

Not every PNG is the requested image. Pages may carry logos, and responses may repeat the initial
image or add a thumbnail; those are skipped.
"""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from playground.answers.base64_text import BASE64_PNG, decode_base64, runs_of_base64
from playground.answers.markup import is_markup
from playground.answers.png import SIGNATURE, Png, check_png
from playground.errors import PngDamaged

#: The field that the API's page documents.
IMAGES: Final = "images"

_GZIP: Final = b"\x1f\x8b"
_MAX_UNPACKED_BYTES: Final = 64_000_000
_BOM: Final = b"\xef\xbb\xbf"
_MAX_PARTS: Final = 8
# Limit of candidates that begin like an image: 64 MB of such beginnings alone would take a minute.
_MAX_CANDIDATES: Final = 100
_PNG_PART: Final = re.compile(rb"\r?\n\r?\n(?=\x89PNG\r\n\x1a\n)")
_OTHER_PICTURE: Final = re.compile(r"init|input|mask|thumb|preview|logo|icon", re.IGNORECASE)
_KEY_BEFORE: Final = re.compile(r'"([^"]{1,64})"\s{0,9}:\s{0,9}\[?\s{0,9}"?(?:data:[^",]{0,64},)?$')
_BEGUN: Final = re.compile(rf'\{{\s*"{IMAGES}"')
_KEY_CHARS: Final = 192
_SIGNATURE_VALUES: Final = list(SIGNATURE)

_LENIENT: Final = json.JSONDecoder(strict=False, object_pairs_hook=tuple)


@dataclass(frozen=True, slots=True)
class Found:
    """What a response contains.

    Attributes:
        images: the intact images, in the response's order.
        faults: a code and the fault of each entry of `images` that is not an intact image.
        is_object: whether the response is a JSON object, as every response of the API is.
        has_images_field: whether it has the field that the API's page documents, or was truncated
            in it.
    """

    images: tuple[Png, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    is_object: bool = False
    has_images_field: bool = False


def find_images(body: bytes) -> Found:
    """Find the intact images of a success, however they are wrapped.

    Args:
        body: of a response with a status of 200 to 299.
    """
    body = _unpacked(body)
    bare = tuple(_bare(body))
    if bare:
        return Found(bare)
    text, parsed, rest = _parsed(body)
    entries = _promised(parsed)
    images, faults = _sorted((entries or [])[:_MAX_CANDIDATES])
    if not images:
        found = tuple(_intact(chain(_elsewhere(parsed), _in_text(rest))))
        if found:
            return Found(found)
    return Found(
        tuple(images),
        tuple(faults),
        is_object=isinstance(parsed, tuple),
        has_images_field=entries is not None or _BEGUN.match(text) is not None,
    )


def _unpacked(body: bytes) -> bytes:
    """Decompress a body that is compressed although its headers do not say so."""
    if not body.startswith(_GZIP):
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return body


def _bare(body: bytes) -> Iterator[Png]:
    """Find images sent as raw bytes: alone, or as parts behind headers of their own."""
    alone = body[:64].removeprefix(_BOM).lstrip()
    starts = [body.find(SIGNATURE)] if alone.startswith(SIGNATURE) else []
    if body.startswith(b"--"):  # a boundary, RFC 2046, section 5.1.1
        starts = [part.end() for part in islice(_PNG_PART.finditer(body), _MAX_PARTS)]
    end = 0
    for start in starts:
        if start < end:
            continue
        try:
            png = check_png(body[start:])
        except PngDamaged:
            continue
        end = start + len(png.data)
        yield png


def _parsed(body: bytes) -> tuple[str, Any, str]:
    """Parse JSON as leniently as possible.

    Returns:
        The text, the value that it begins with (objects as tuples of pairs, so that no duplicate
        key is lost; None if there is no value), and the text after that value.
    """
    encoding = json.detect_encoding(body)
    text = body.decode(encoding, "replace").lstrip("\ufeff \t\r\n\v\f")
    try:
        value, end = _LENIENT.raw_decode(text)
    except (ValueError, RecursionError):
        return text, None, text
    return text, value, text[end:]


def _promised(parsed: Any) -> list[Any] | None:
    """Return the entries of every `images` field; None if there is no such field."""
    if not isinstance(parsed, tuple):
        return None
    fields = [value for key, value in parsed if key == IMAGES]
    if not fields:
        return None
    return [entry for field in fields for entry in (field if isinstance(field, list) else ())]


def _sorted(entries: list[Any]) -> tuple[list[Png], list[tuple[str, str]]]:
    """Sort the entries of `images` into intact images and the faults of the others."""
    images: list[Png] = []
    faults: list[tuple[str, str]] = []
    for entry in entries:
        try:
            images.append(_checked(entry))
        except PngDamaged as error:
            faults.append(("PNG_DAMAGED", str(error)))
        except (ValueError, TypeError):
            faults.append(("BAD_BASE64", "an image is not base64"))
    return images, faults


def _checked(text: Any) -> Png:
    """Decode and check one image.

    A form decoder turns plus signs into spaces; the checksums show which character a space was.

    Raises:
        PngDamaged: it is not an intact PNG.
        ValueError: it is not base64.
    """
    try:
        return check_png(decode_base64(text))
    except PngDamaged:
        if " " not in text.strip():
            raise
    return check_png(decode_base64(text.strip().replace(" ", "+")))


def _intact(candidates: Iterator[bytes | str]) -> Iterator[Png]:
    """Decode and check image candidates; skip those that are not images."""
    for one in islice(candidates, _MAX_CANDIDATES):
        try:
            yield check_png(one) if isinstance(one, bytes) else _checked(one)
        except (PngDamaged, ValueError):
            continue


def _elsewhere(parsed: Any) -> Iterator[bytes | str]:
    """Find image candidates in any field except those that contain other images."""
    waiting = [parsed]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield from _in_text(node)
        elif isinstance(node, list):
            if node[: len(_SIGNATURE_VALUES)] == _SIGNATURE_VALUES:
                yield _of_values(node)
            else:
                waiting += reversed(node)
        elif isinstance(node, tuple):
            kept = [value for key, value in node if not _OTHER_PICTURE.search(key)]
            waiting += reversed(kept)


def _of_values(values: list[Any]) -> bytes:
    """Return the bytes of a list of their values, as a JavaScript buffer is written."""
    try:
        return bytes(values)
    except (ValueError, TypeError):
        return b""


def _in_text(text: str) -> Iterator[str]:
    """Find image candidates, as base64, in a text that is not a page of markup."""
    if BASE64_PNG not in text or is_markup(text):
        return
    for start, run in runs_of_base64(text):
        key = _KEY_BEFORE.search(text[max(0, start - _KEY_CHARS) : start])
        if key is None or not _OTHER_PICTURE.search(key[1]):
            yield run

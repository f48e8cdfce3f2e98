"""Read the API's usual response, a single image, without making a JSON string of it.

An image is two megabytes of base64 between a few bytes of JSON. A parser copies them into a string
that is discarded at once; here they are decoded in place. The check for that response is strict.
Base64's alphabet contains no quotation mark and no backslash. So if everything between these first
and last bytes is base64, a JSON parser would have read the very same string. Every other response
is left to the parser.
"""

import re
from typing import Final

import pybase64

# JSON's own white space, RFC 8259, section 2.
_HEAD: Final = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"images"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*"')
_TAIL: Final = re.compile(rb'"[ \t\n\r]*\][ \t\n\r]*\}[ \t\n\r]*')


def lone_image(body: bytes) -> bytes | None:
    """Decode the image of a response that contains exactly one image.

    Args:
        body: of a response with status 200.

    Returns:
        The decoded bytes; None for any other response, which may be valid too.
    """
    head = _HEAD.match(body)
    end = body.rfind(b'"')
    if head is None or end < head.end() or _TAIL.fullmatch(body, end) is None:
        return None
    try:
        return pybase64.b64decode(memoryview(body)[head.end() : end], validate=True)
    except ValueError:
        return None

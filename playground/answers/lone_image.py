"""The API's usual answer, one image and nothing else, read without making a JSON string of it.

An image is two megabytes of base64 between a few bytes of JSON. A parser copies them into a string
that is thrown away at once; here they are decoded where they lie. What counts as that answer is
strict: base64's alphabet knows no quotation mark and no backslash, so if all that lies between
these first and last bytes is base64, a JSON parser would have read the very same string. Anything
else is left to the parser.
"""

import re
from typing import Final

import pybase64

# JSON's own white space, RFC 8259, section 2.
_HEAD: Final = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"images"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*"')
_TAIL: Final = re.compile(rb'"[ \t\n\r]*\][ \t\n\r]*\}[ \t\n\r]*')


def lone_image(body: bytes) -> bytes | None:
    """Decode the image of an answer that is one image alone.

    Args:
        body: of an answer with status 200.

    Returns:
        The decoded bytes; None where the answer is anything else, which may be a good one too.
    """
    head = _HEAD.match(body)
    end = body.rfind(b'"')
    if head is None or end < head.end() or _TAIL.fullmatch(body, end) is None:
        return None
    try:
        return pybase64.b64decode(memoryview(body)[head.end() : end], validate=True)
    except ValueError:
        return None

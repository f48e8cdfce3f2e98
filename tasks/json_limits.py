"""Check how many values a JSON text contains before it is parsed.

A few kilobytes of gzip expand to megabytes of brackets and commas. The parser turns each of them
into an object that is many times its size, and each may become a fault with its own sentence. So
they are counted before the text is parsed.
"""

import re
from typing import Final

__all__ = ["EXCESS", "MAX_VALUES", "excess_of", "has_excess"]

#: Chosen: no valid request nests deeper, and metadata is small.
MAX_DEPTH: Final = 32

#: Chosen: brackets, commas and strings of one JSON text, or cells of one CSV record.
MAX_VALUES: Final = 20_000

#: The reason for a line or a record that has more; completes the sentence "it …".
EXCESS: Final = f"has more than {MAX_VALUES} values"

#: Each token contains at least one of these. Base64, the bulk of long lines, contains none.
_MARKS: Final = b'",[]{}'

# Possessive quantifiers (`*+`) prevent backtracking on hostile text.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[{]|[\]}]|,', re.DOTALL)


def has_excess(text: bytes) -> bool:
    """Return whether parsing would build more than `MAX_VALUES`; short texts cost nothing."""
    if len(text) <= MAX_VALUES or len(text) - len(text.translate(None, _MARKS)) <= MAX_VALUES:
        return False
    return any(count >= MAX_VALUES for count, _ in enumerate(_TOKEN.finditer(text)))


def excess_of(text: bytes) -> str | None:
    """Return why a JSON text must not be parsed, completing "it …"; None if it may be parsed."""
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(text)):
        if count >= MAX_VALUES:
            return EXCESS
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return f"nests deeper than {MAX_DEPTH} levels"
        elif first in b"]}":
            depth -= 1
    return None

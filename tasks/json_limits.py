"""How much a text would become in memory, said before any of it is built.

A few kilobytes of gzip unfold to megabytes of brackets and commas. Each of them becomes an object
that is many times its size, and perhaps a fault with a sentence of its own. So they are counted
before anybody parses them.
"""

import re
from typing import Final

__all__ = ["EXCESS", "MAX_VALUES", "excess_of", "has_excess"]

#: Ours: no request has reason to nest deeper, and metadata is small.
MAX_DEPTH: Final = 32

#: Ours: brackets, commas and texts of one JSON text, or cells of one CSV record.
MAX_VALUES: Final = 20_000

#: What is wrong with a line or a record that has more; completes the sentence "it …".
EXCESS: Final = f"has more than {MAX_VALUES} values"

#: Each token has one of these at least. Base64 has none, and long lines are mostly that.
_MARKS: Final = b'",[]{}'

# Possessive (`*+`), so that hostile text is passed over once and never gone back to.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[{]|[\]}]|,', re.DOTALL)


def has_excess(text: bytes) -> bool:
    """Whether parsing it would build more than `MAX_VALUES`; of a short text, at no cost."""
    if len(text) <= MAX_VALUES or len(text) - len(text.translate(None, _MARKS)) <= MAX_VALUES:
        return False
    return any(count >= MAX_VALUES for count, _ in enumerate(_TOKEN.finditer(text)))


def excess_of(text: bytes, *, max_values: int = MAX_VALUES) -> str | None:
    """Why a JSON text is not to be parsed, completing the sentence "it …"; None where it may be.

    Args:
        text: as it came.
        max_values: brackets, commas and texts that it may have.
    """
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(text)):
        if count >= max_values:
            return f"has more than {max_values} values"
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return f"nests deeper than {MAX_DEPTH} levels"
        elif first in b"]}":
            depth -= 1
    return None

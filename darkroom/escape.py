r"""Escape text from outside for terminals and log lines.

A prompt, a parameter's name, an error of the API or a file name may contain terminal controls (ESC
and others, C1 among them). It may contain characters that begin a new line or reverse the reading
direction. All of them are shown as escapes, such as `\x1b` or `\n`. Both outputs use this file:
`darkroom/cli/common/output.py` prints, and `darkroom/logs.py` writes the logs.
"""

import re
import unicodedata
from typing import Final

__all__ = ["escaped", "escaped_json"]

#: Not printable by Unicode's rules, and harmless: spaces wider than ASCII's, and the joiners that
#: Persian words and many emoji are written with.
_HARMLESS: Final = frozenset("\u200c\u200d")

#: What JSON leaves unescaped and a terminal may interpret: DEL and C1, line separators, direction
#: marks.
_JSON_CONTROLS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def escaped(text: str) -> str:
    """Return a text without characters that control a terminal, end a line or reverse text."""
    if text.isprintable():
        return text
    return "".join(letter if _is_harmless(letter) else _escape(letter) for letter in text)


def escaped_json(text: str) -> str:
    """Return JSON with the same meaning, in which no character controls a terminal."""
    return _JSON_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _is_harmless(letter: str) -> bool:
    if letter.isprintable() or letter in _HARMLESS:
        return True
    return unicodedata.category(letter) == "Zs"


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")

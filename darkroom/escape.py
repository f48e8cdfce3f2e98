r"""Text from outside, made harmless for a terminal and for a line of a log.

A prompt, a parameter's name, an error of the API or a file name may hold what a terminal obeys (ESC
and other controls, C1 among them), what begins a new line, and what makes the rest of a line read
backwards. All of it is shown as an escape, such as `\x1b` or `\n`. The one place for both:
`darkroom/cli/common/output.py` prints, and `darkroom/logs.py` writes the logs.
"""

import re
import unicodedata
from typing import Final

__all__ = ["escaped", "escaped_json"]

#: Not printable by Unicode's rules, and harmless: spaces wider than ASCII's, and the joiners that
#: Persian words and many emoji are written with.
_HARMLESS: Final = frozenset("\u200c\u200d")

#: What JSON leaves as it is and a terminal may obey: DEL and C1, line separators, direction marks.
_JSON_CONTROLS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def escaped(text: str) -> str:
    """Return a text in which nothing steers a terminal, ends a line or turns its direction."""
    if text.isprintable():
        return text
    return "".join(letter if _is_harmless(letter) else _escape(letter) for letter in text)


def escaped_json(text: str) -> str:
    """Return JSON with the same meaning, in which nothing steers a terminal."""
    return _JSON_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _is_harmless(letter: str) -> bool:
    if letter.isprintable() or letter in _HARMLESS:
        return True
    return unicodedata.category(letter) == "Zs"


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")

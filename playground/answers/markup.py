"""Extract the visible text of an HTML page, in one pass.

An error page is shortened to what a browser would show. It comes from outside and may be hostile,
so the time must be linear in its size: no part of it is searched twice for the same end tag.
"""

import html
import re
from typing import Final

MAX_TEXT_CHARS: Final = 4096
"""Text beyond this length is not read: a message keeps a few hundred characters."""

# Hidden parts: their first characters and the end each requires.
_HIDDEN: Final = re.compile(r"<(?:(script|style)\b|!--)", re.IGNORECASE)
_END_OF: Final = {
    "script": re.compile(r"</script\s*+>", re.IGNORECASE),
    "style": re.compile(r"</style\s*+>", re.IGNORECASE),
    "comment": re.compile(r"-->"),
}
_PAGE: Final = re.compile(
    r"\s*<|.*?<(?:!doctype|html|head|body|script)\b", re.DOTALL | re.IGNORECASE
)
_PAGE_HEAD_CHARS: Final = 4096
_TAG: Final = re.compile(r"<[^<>]{0,1000}+>")


def is_markup(text: str) -> bool:
    """Return whether a text is an HTML page, or another document of tags."""
    return _PAGE.match(text[:_PAGE_HEAD_CHARS]) is not None


def visible_text(text: str) -> str:
    """Return the words of a page without its tags, scripts, styles and comments."""
    if "<" not in text:
        return text
    shown = _TAG.sub(" ", " ".join(_shown_parts(text)))[:MAX_TEXT_CHARS]
    try:
        return html.unescape(shown)
    except ValueError:  # a reference such as &#999…; with too many digits
        return shown


def _shown_parts(text: str) -> list[str]:
    """Remove hidden parts; a part without an end is kept, as the text of a truncated page."""
    parts: list[str] = []
    start = at = 0
    endless: set[str] = set()
    while hidden := _HIDDEN.search(text, at):
        kind = (hidden[1] or "comment").lower()
        # Searched to the end of the text at most once for each kind.
        end = None if kind in endless else _END_OF[kind].search(text, hidden.end())
        if end is None:
            endless.add(kind)
            at = hidden.end()
            continue
        parts.append(text[start : hidden.start()])
        start = at = end.end()
    return [*parts, text[start:]]

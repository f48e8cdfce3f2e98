"""Draw the contact sheet: all pictures of a run on one dark page, each with its prompt beneath.

Pure: records and files in, an image out. The typeface comes with Pillow, so the sheet looks the
same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from darkroom.demo.made import Made
from darkroom.demo.rows import Place, lay_out

__all__ = ["contact_sheet"]

WIDTH_PX: Final = 1600
MARGIN_PX: Final = 56
ROW_PX: Final = 280
GAP_PX: Final = 18
CAPTION_PX: Final = 80

#: Longer than any two lines of a caption.
_MAX_CHARS: Final = 300

_GROUND: Final = (16, 15, 18)
_PAPER: Final = (236, 231, 222)
_QUIET: Final = (150, 143, 134)
_FAINT: Final = (128, 122, 114)
_LAMP: Final = (232, 84, 56)  # the red of a darkroom's safelight

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Type:
    """The type sizes of the sheet."""

    title: _Font
    line: _Font
    caption: _Font
    fact: _Font


def contact_sheet(pictures: Sequence[Made], *, title: str, line: str, note: str) -> Image.Image:
    """Lay all pictures out on one page.

    Args:
        pictures: with readable files.
        title: in large letters at the top.
        line: beneath the title.
        note: at the right of the title, in the lamp's red, such as `simulated`.

    Returns:
        The page, in RGB.
    """
    fonts = _Type(_font(54), _font(24), _font(20), _font(17))
    inner = WIDTH_PX - 2 * MARGIN_PX
    shapes = [made.width / made.height for made in pictures]
    top = MARGIN_PX + 128
    places, height = lay_out(
        shapes, width=inner, row_height=ROW_PX, gap=GAP_PX, below=CAPTION_PX + GAP_PX
    )
    page = Image.new("RGB", (WIDTH_PX, top + height + MARGIN_PX - GAP_PX), _GROUND)
    draw = ImageDraw.Draw(page)
    _head(draw, fonts, title, line, note)
    for made, place in zip(pictures, places, strict=True):
        at = Place(MARGIN_PX + place.x, top + place.y, place.width, place.height)
        _print(page, made, at)
        _caption(draw, fonts, made, at)
    return page


def _head(draw: ImageDraw.ImageDraw, fonts: _Type, title: str, line: str, note: str) -> None:
    _text(draw, (MARGIN_PX, MARGIN_PX - 8), title, fonts.title, _PAPER)
    _text(draw, (MARGIN_PX + 2, MARGIN_PX + 60), line, fonts.line, _QUIET)
    if not note:
        return
    right, middle = WIDTH_PX - MARGIN_PX, MARGIN_PX + 24
    left = right - round(fonts.line.getlength(note)) - 52
    box = (left, middle - 24, right, middle + 24)
    draw.rounded_rectangle(box, radius=24, outline=_LAMP, width=2)
    draw.text(((left + right) / 2, middle - 1), note, font=fonts.line, fill=_LAMP, anchor="mm")


def _print(page: Image.Image, made: Made, place: Place) -> None:
    with Image.open(made.file) as picture:
        size = (place.width, place.height)
        page.paste(
            ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS), (place.x, place.y)
        )


def _caption(draw: ImageDraw.ImageDraw, fonts: _Type, made: Made, place: Place) -> None:
    width = place.width
    words = _lines(made.prompt, fonts.caption, width, max_lines=2)
    y = place.y + place.height + 9
    for words_of_line in words:
        _text(draw, (place.x, y), words_of_line, fonts.caption, _PAPER)
        y += 24
    seed = f"seed {made.seed}"
    facts = f"{made.look} \N{MIDDLE DOT} {seed}" if made.look else seed
    if fonts.fact.getlength(facts) > width:
        facts = seed
    _text(draw, (place.x, y + 1), _cut(facts, fonts.fact, width), fonts.fact, _FAINT)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, font: _Font, fill: _Colour
) -> None:
    draw.text(at, text, font=font, fill=fill)


def _lines(text: str, font: _Font, width_px: int, *, max_lines: int) -> list[str]:
    """Break a text into at most so many lines; the last one is cut if necessary."""
    lines: list[str] = []
    words = text[:_MAX_CHARS].split()
    while words and len(lines) < max_lines - 1:
        count = 1
        while count < len(words) and font.getlength(" ".join(words[: count + 1])) <= width_px:
            count += 1
        lines.append(_cut(" ".join(words[:count]), font, width_px))
        words = words[count:]
    return [*lines, _cut(" ".join(words), font, width_px)] if words else lines


def _cut(text: str, font: _Font, width_px: int) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "\N{HORIZONTAL ELLIPSIS}") > width_px:
        text = text[:-1]
    return text.rstrip(" ,.;") + "\N{HORIZONTAL ELLIPSIS}"


def _font(size_px: int) -> _Font:
    return ImageFont.load_default(size_px)

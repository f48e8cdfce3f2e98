"""Draw line charts as PNGs with Pillow, which the product installs anyway.

It supports only what two plots need: a few points per line, a logarithmic x axis, a y axis that
begins at 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Line", "Panel", "draw"]

WIDTH_PX, HEIGHT_PX = 900, 640
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 110, 70, 90, 90
FONT_PX, DOT_PX = 22, 6
TICKS = 5
PAPER, INK, GRID = "#ffffff", "#333333", "#dddddd"
COLOURS = ("#1f6f8b", "#d1495b", "#8f8f8f")


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points whose x is above 0."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: the titles of its axes, and its lines."""

    title: str
    across: str
    lines: Sequence[Line]


def draw(path: Path, panels: Sequence[Panel]) -> bool:
    """Write charts side by side into a PNG; return whether any of them had points."""
    filled = [panel for panel in panels if any(line.points for line in panel.lines)]
    if not filled:
        return False
    picture = Image.new("RGB", (WIDTH_PX * len(filled), HEIGHT_PX), PAPER)
    for place, panel in enumerate(filled):
        _Drawing(ImageDraw.Draw(picture), panel, WIDTH_PX * place).draw()
    picture.save(path, optimize=True)
    return True


class _Drawing:
    """One panel being drawn, with its scales."""

    def __init__(self, pen: ImageDraw.ImageDraw, panel: Panel, left_px: int) -> None:
        self._pen = pen
        self._panel = panel
        self._left_px = left_px + LEFT_PX
        self._font = ImageFont.load_default(FONT_PX)
        points = [point for line in panel.lines for point in line.points]
        self._low = math.log10(min(x for x, _ in points))
        self._high = max(math.log10(max(x for x, _ in points)), self._low + 0.01)
        self._step = _round_step(max(y for _, y in points) / TICKS)

    def draw(self) -> None:
        """Draw the axes first, then the lines over them."""
        self._text(self._left_px, 28, self._panel.title, "lm")
        self._text(self._left_px + self._width_px / 2, HEIGHT_PX - 28, self._panel.across, "mm")
        self._draw_heights()
        self._draw_places()
        for number, line in enumerate(self._panel.lines):
            self._draw_line(number, line)

    @property
    def _width_px(self) -> int:
        return WIDTH_PX - LEFT_PX - RIGHT_PX

    def _at(self, x: float, y: float) -> tuple[float, float]:
        share = (math.log10(x) - self._low) / (self._high - self._low)
        height_px = HEIGHT_PX - TOP_PX - BOTTOM_PX
        top = self._step * (TICKS + 1)
        return (
            self._left_px + share * self._width_px,
            HEIGHT_PX - BOTTOM_PX - y / top * height_px,
        )

    def _draw_heights(self) -> None:
        for tick in range(TICKS + 2):
            y_px = self._at(10**self._low, tick * self._step)[1]
            self._pen.line([(self._left_px, y_px), (self._left_px + self._width_px, y_px)], GRID, 2)
            self._text(self._left_px - 12, y_px, f"{tick * self._step:,.10g}", "rm")

    def _draw_places(self) -> None:
        for x in sorted({x for line in self._panel.lines for x, _ in line.points}):
            x_px, y_px = self._at(x, 0)
            self._text(x_px, y_px + 22, f"{x:,.0f}", "mm")

    def _draw_line(self, number: int, line: Line) -> None:
        colour = COLOURS[number % len(COLOURS)]
        spots = [self._at(x, y) for x, y in sorted(line.points)]
        if len(spots) > 1:
            self._pen.line(spots, colour, 4, joint="curve")
        for x_px, y_px in spots:
            box = (x_px - DOT_PX, y_px - DOT_PX, x_px + DOT_PX, y_px + DOT_PX)
            self._pen.ellipse(box, fill=colour)
        legend_px = self._left_px + 240 * number
        self._pen.line([(legend_px, 66), (legend_px + 28, 66)], colour, 4)
        self._text(legend_px + 38, 66, line.name, "lm")

    def _text(self, x_px: float, y_px: float, text: str, anchor: str) -> None:
        self._pen.text((x_px, y_px), text, INK, font=self._font, anchor=anchor)


def _round_step(least: float) -> float:
    """Return the next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next((f * power for f in (1, 2, 2.5, 5) if f * power >= least), 10 * power)

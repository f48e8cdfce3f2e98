"""Lay out pictures of different shapes in rows of equal width.

Each row is as high as its pictures need to fill the width. Line breaks are chosen so that the
heights differ as little as possible from the requested one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

__all__ = ["Place", "lay_out"]


@dataclass(frozen=True, slots=True)
class Place:
    """The position of one picture; all in pixels from the top left."""

    x: int
    y: int
    width: int
    height: int


def lay_out(
    shapes: Sequence[float], *, width: int, row_height: int, gap: int, below: int
) -> tuple[list[Place], int]:
    """Place pictures in rows.

    Args:
        shapes: width by height of each picture.
        width: of every row, in pixels.
        row_height: the height that rows should be close to.
        gap: between pictures of a row, in pixels.
        below: space under each row, for captions.

    Returns:
        The position of each picture, and the height of all rows together.
    """
    places: list[Place] = []
    y = 0
    for start, end in _rows(tuple(shapes), width, row_height, gap):
        height = _height(shapes[start:end], width, gap)
        if end == len(shapes):  # a last row of few pictures is not enlarged to fill the width
            height = min(height, row_height * 1.35)
        places += _row(shapes[start:end], width, height, y, gap)
        y += round(height) + below
    return places, y


def _row(shapes: Sequence[float], width: int, height: float, y: int, gap: int) -> list[Place]:
    places = []
    x = 0.0
    for shape in shapes:
        right = min(x + shape * height, width)
        places.append(Place(round(x), y, round(right) - round(x), round(height)))
        x += shape * height + gap
    return places


def _height(shapes: Sequence[float], width: int, gap: int) -> float:
    return (width - gap * (len(shapes) - 1)) / sum(shapes)


def _rows(
    shapes: tuple[float, ...], width: int, row_height: int, gap: int
) -> list[tuple[int, int]]:
    """Return where rows begin and end, with the least sum of squared differences in height."""

    @cache
    def best(start: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        if start == len(shapes):
            return 0.0, ()
        found = []
        for end in range(start + 1, min(start + 12, len(shapes)) + 1):
            off = _height(shapes[start:end], width, gap) / row_height - 1
            cost, rest = best(end)
            found.append((off * off + cost, ((start, end), *rest)))
        return min(found)

    return list(best(0)[1])

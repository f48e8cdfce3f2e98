"""The contact sheet and its rows, from plain records."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from darkroom.demo.contact_sheet import WIDTH_PX, contact_sheet
from darkroom.demo.made import Made
from darkroom.demo.rows import lay_out


def made(folder: Path, number: int, size: tuple[int, int], prompt: str = "a paper fox") -> Made:
    """A record with a picture of one colour behind it."""
    file = folder / f"{number}.png"
    colour = (40 * number % 256, 255 - 40 * number % 256, 90)
    Image.new("RGB", size, colour).save(file)
    return Made(
        name=f"fox-{number}",
        prompt=prompt,
        model="Playground_v3",
        look="cinematic",
        seed=number,
        width=size[0],
        height=size[1],
        size_bytes=file.stat().st_size,
        sha256="0" * 64,
        object_key=f"darkroom/images/{number}/1-0.png",
        seconds=1.5,
        file=file,
    )


@given(
    shapes=st.lists(st.floats(0.3, 3.5), min_size=1, max_size=40),
    gap=st.integers(0, 30),
)
def test_rows_fill_the_width_and_nothing_overlaps(shapes: list[float], gap: int) -> None:
    """Whatever the shapes: in order, inside the page, apart by the gap, rows full."""
    places, height = lay_out(shapes, width=1500, row_height=280, gap=gap, below=80)
    assert len(places) == len(shapes)
    for one, following in pairwise(places):
        if following.y == one.y:
            assert abs(following.x - (one.x + one.width) - gap) <= 1
        else:
            assert one.x + one.width in range(1498, 1502)
            assert following.x == 0
            assert following.y >= one.y + one.height + 80
    assert all(place.x + place.width <= 1501 for place in places)
    assert height == places[-1].y + places[-1].height + 80


def test_pictures_keep_their_shapes() -> None:
    """No picture is squeezed, and none of a usual shape is cropped by more than a pixel or two."""
    shapes = [1.0, 1.5, 0.71, 1.6, 1.5, 0.77, 1.78, 1.0, 1.0, 1.4]
    places, _ = lay_out(shapes, width=1500, row_height=280, gap=18, below=80)
    for shape, place in zip(shapes, places, strict=True):
        assert place.width / place.height == pytest.approx(shape, rel=0.02)


def test_every_picture_is_on_the_sheet(tmp_path: Path) -> None:
    """Each one's colour is found again, and the sheet is as wide as it says."""
    sizes = [(640, 640), (960, 640), (640, 896), (1024, 576), (96, 96)]
    pictures = [made(tmp_path, number, size) for number, size in enumerate(sizes)]
    page = contact_sheet(pictures, title="Darkroom", line="five", note="simulated")
    assert page.width == WIDTH_PX
    colours = {colour for _, colour in page.getcolors(page.width * page.height) or []}
    for number in range(len(sizes)):
        assert (40 * number % 256, 255 - 40 * number % 256, 90) in colours


def test_a_simulated_sheet_is_marked_in_red_and_a_real_one_is_not(tmp_path: Path) -> None:
    """One cannot be mistaken for the other."""
    pictures = [made(tmp_path, 1, (640, 640))]
    marked, plain = (
        contact_sheet(pictures, title="Darkroom", line="one", note=note)
        for note in ("simulated", "")
    )
    lamp = (232, 84, 56)
    corner = (WIDTH_PX - 400, 0, WIDTH_PX, 160)
    assert lamp in {colour for _, colour in marked.crop(corner).getcolors(99999) or []}
    assert lamp not in {colour for _, colour in plain.crop(corner).getcolors(99999) or []}


@pytest.mark.parametrize(
    "prompt", ["x" * 5000, "word " * 500, "", "\U0001f98a 狐 \u0634", "a\nb\tc", "\u202eabc"]
)
def test_any_prompt_can_be_a_caption(tmp_path: Path, prompt: str) -> None:
    """Long, empty, or in letters the typeface has not: the sheet is made all the same."""
    page = contact_sheet([made(tmp_path, 1, (64, 640), prompt)], title="Darkroom", line="", note="")
    assert page.width == WIDTH_PX

"""The recipe inside a picture."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from playground.answers.png import HEADER_END, check_png, chunk
from playground.answers.recipe import embed_recipe, recipe_text
from playground.errors import PngDamaged
from playground.request.request import ImageRequest, check_request
from tests.playground.pictures import picture
from tests.playground.signed_picture import failures, signed

WHOLE = picture(8, 8)


def request(**parameters: object) -> ImageRequest:
    """Make a request with a seed."""
    return check_request({"prompt": "a fox", "seed": 7, **parameters})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
@settings(deadline=None)
def test_what_is_embedded_is_read_back_by_pillow(text: str) -> None:
    """Any text survives, the pixels are the same, and the file is whole."""
    with_text = b"".join(embed_recipe(WHOLE, text))
    png = check_png(with_text)
    assert (png.width, png.height) == (8, 8)
    with Image.open(io.BytesIO(with_text)) as image, Image.open(io.BytesIO(WHOLE)) as plain:
        assert image.info["parameters"] == text
        assert image.tobytes() == plain.tobytes()


@pytest.mark.parametrize(("text", "kind"), [("café", b"tEXt"), ("狐", b"iTXt")])
def test_the_plain_chunk_is_used_where_it_can_be(text: str, kind: bytes) -> None:
    """Latin-1 text goes into the chunk that every reader knows."""
    assert b"".join(embed_recipe(WHOLE, text))[37:41] == kind


def test_text_no_format_can_hold_does_not_break_the_picture() -> None:
    """NUL and lone surrogates cost characters, never the picture."""
    check_png(b"".join(embed_recipe(WHOLE, "a\0b\ud800")))


@pytest.mark.parametrize("data", [b"", b"<html>", WHOLE[:20]])
def test_only_a_picture_takes_a_recipe(data: bytes) -> None:
    """Bytes without a PNG header are refused."""
    with pytest.raises(PngDamaged):
        embed_recipe(data, "x")


def test_id_names_job_and_seed_and_nothing_private() -> None:
    """The default recipe tells no prompt."""
    assert recipe_text("id", job_id="42", request=request()) == "Seed: 7, Darkroom job: 42"


def test_off_embeds_nothing() -> None:
    """Where the setting says so there is no text at all."""
    assert recipe_text("off", job_id="42", request=request()) is None


def test_full_tells_everything_that_was_set() -> None:
    """The layout is the one image tools already parse; unset parameters are left out."""
    asked = request(
        negative_prompt="fog",
        num_inference_steps=30,
        scheduler="DDIM",
        guidance_scale=5,
        width=64,
        height=32,
        filter_model="Playground_v3",
    )
    assert recipe_text("full", job_id="42", request=asked) == (
        "a fox\nNegative prompt: fog\nSteps: 30, Sampler: DDIM, CFG scale: 5, Seed: 7, "
        "Model: Playground_v3, Size: 64x32, Darkroom job: 42"
    )
    assert recipe_text("full", job_id="42", request=request()) == (
        "a fox\nSeed: 7, Darkroom job: 42"
    )


@pytest.mark.parametrize(
    ("sides", "size"), [({"width": 64}, "64x1024"), ({"height": 32}, "1024x32")]
)
def test_a_side_that_is_not_set_is_the_apis_own(sides: dict[str, int], size: str) -> None:
    """The API makes 1024 pixels of it."""
    assert f"Size: {size}," in str(recipe_text("full", job_id="42", request=request(**sides)))


@pytest.mark.parametrize("mode", ["id", "full"])
def test_a_simulated_picture_says_so(mode: str) -> None:
    """The simulator's picture cannot be mistaken for the API's."""
    text = recipe_text(mode, job_id="42", request=request(), simulated=True)  # type: ignore[arg-type]
    assert text is not None
    assert "Simulated: yes" in text


def test_a_picture_with_content_credentials_stays_as_it_is() -> None:
    """They sign the whole file: a chunk more would make them invalid, as the first check shows."""
    whole = signed(WHOLE)
    assert failures(whole) == set()
    spliced = whole[:HEADER_END] + chunk(b"tEXt", b"parameters\0x") + whole[HEADER_END:]
    assert failures(spliced) == {"assertion.dataHash.mismatch"}
    for png in (whole, check_png(whole)):
        assert embed_recipe(png, "a recipe") == (whole,)


def test_credentials_hold_again_once_what_was_added_behind_the_end_is_cut_off() -> None:
    """The answer's wrapping, not the picture, had grown."""
    whole = signed(WHOLE)
    assert failures(whole + b"\n") == {"assertion.dataHash.mismatch"}
    assert failures(check_png(whole + b"\n").data) == set()

"""The rules of the API's reference page, each at its boundaries, written from the page."""

import re
from pathlib import Path
from typing import Any

import pytest

from simulator.errors import RequestBroken
from simulator.request.rules import ImageCall, read_request

MODELS = ["Playground_v2.5", "Photorealism", "Playground_v3"]
SCHEDULERS = [
    "DPMPP_2M_K",
    "EULER_A",
    "DDIM",
    "PLMS",
    "EULER",
    "HEUN",
    "DPM2",
    "DPM2_A",
    "LMS",
    "LMS_NIHANTH",
    "DPMPP_2M",
    "DPMPP_2M_LU",
    "DPMPP_2M_SDE",
    "DPMPP_2M_SDE_K",
    "DPMPP_2M_SDE_LU",
    "DPMPP_SDE",
    "DPMPP_SDE_K",
    "LMS_K",
]
FILTERS = [
    "cartoon",
    "vibrant_glass",
    "dreamy_stickers",
    "ultra_lighting",
    "watercolor",
    "macro_realism",
    "delicate_detail",
    "radiant_symmetry",
    "lush_illustration",
    "saturated_space",
    "neon_mecha",
    "ethereal_low_poly",
    "warm_box",
    "cinematic",
    "cinematic_warm",
    "wasteland",
    "flat_palette",
    "ominous_escape",
    "spielberg",
    "royalistic",
    "masterpiece",
    "wall_art",
    "haze",
    "black_and_white_3d",
    "cinematic_dimensions",
    "futuristic_illumination",
    "photorealistic",
    "cinematic_cold",
    "cute_low_poly_3d",
    "nikon_mode",
    "yellow_fog",
    "moody_impressions",
    "portrait",
    "hypersonic",
    "closeup",
    "old-timey",
]


def read(**fields: Any) -> ImageCall:
    """Reads a request that has a prompt and these fields."""
    return read_request({"prompt": "a fox", **fields})


def broken(**fields: Any) -> set[str]:
    """The fields whose rules such a request breaks."""
    with pytest.raises(RequestBroken) as caught:
        read(**fields)
    return {one.field for one in caught.value.broken}


def test_a_bare_prompt_gets_the_pages_defaults() -> None:
    """1024 x 1024, 50 steps, guidance 7, DPMPP_2M_K, the latest model, everything else off."""
    call = read()
    assert (call.width, call.height, call.steps, call.guidance) == (1024, 1024, 50, 7)
    assert (call.model, call.scheduler, call.seed) == ("Playground_v3", "DPMPP_2M_K", None)
    switches = (call.expand_prompt, call.verify_prompt_safety, call.rejection_topics)
    assert not any(switches)


def test_the_enums_are_as_long_as_the_page_counts() -> None:
    """The page says 18 schedulers and 36 filters."""
    assert (len(set(SCHEDULERS)), len(set(FILTERS))) == (18, 36)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_taken(model: str) -> None:
    """Each model of the page's enum is accepted."""
    assert read(filter_model=model).model == model


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_is_taken(scheduler: str) -> None:
    """Each scheduler of the page's enum is accepted."""
    assert read(scheduler=scheduler).scheduler == scheduler


@pytest.mark.parametrize("prompt_filter", FILTERS)
def test_every_filter_is_taken(prompt_filter: str) -> None:
    """Each filter of the page's enum is accepted."""
    assert read(prompt_filter=prompt_filter).prompt_filter == prompt_filter


@pytest.mark.parametrize("field", ["filter_model", "scheduler", "prompt_filter"])
@pytest.mark.parametrize("value", ["", "nonsense", "playground_V3", "Playground_v2", 3, ["DDIM"]])
def test_a_word_outside_an_enum_is_refused(field: str, value: object) -> None:
    """An enum takes its own words only, in their own spelling."""
    assert broken(**{field: value}) == {field}


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("value", [32, 64, 1024, 2048])
def test_v3_takes_multiples_of_32(side: str, value: int) -> None:
    """Playground v3 takes sides divisible by 32."""
    assert getattr(read(**{side: value}), side) == value


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("value", [31, 33, 1023, 1025, 1000, 0, -32])
def test_v3_refuses_other_sides(side: str, value: int) -> None:
    """Playground v3 refuses sides that are not divisible by 32, and sides below one."""
    assert broken(**{side: value}) == {side}


@pytest.mark.parametrize("model", ["Playground_v2.5", "Photorealism"])
@pytest.mark.parametrize("value", [1, 33, 1000, 1025])
def test_other_models_take_any_side(model: str, value: int) -> None:
    """The rule of 32 is Playground v3's alone."""
    assert read(filter_model=model, width=value, height=value).width == value


@pytest.mark.parametrize("value", [1, 50, 149, 150])
def test_up_to_150_steps_are_taken(value: int) -> None:
    """The page's maximum is 150."""
    assert read(num_inference_steps=value).steps == value


@pytest.mark.parametrize("value", [151, 2**31, 0, -1])
def test_more_steps_are_refused(value: int) -> None:
    """151 is one too many, and no picture takes less than one step."""
    assert broken(num_inference_steps=value) == {"num_inference_steps"}


@pytest.mark.parametrize("value", [1, 2, 65534, 65535])
def test_seeds_between_the_ends_are_taken(value: int) -> None:
    """0 < seed < 2^16."""
    assert read(seed=value).seed == value


@pytest.mark.parametrize("value", [0, 65536, -1, 2**31, "7", 7.0, True])
def test_other_seeds_are_refused(value: object) -> None:
    """Both ends are excluded, and a seed is a whole number."""
    assert broken(seed=value) == {"seed"}


@pytest.mark.parametrize(
    "field", ["width", "height", "num_inference_steps", "guidance_scale", "seed"]
)
@pytest.mark.parametrize("value", ["64", 64.0, 64.5, True, [], {}, 2**31])
def test_numbers_are_int32(field: str, value: object) -> None:
    """Strings, fractions, booleans and numbers beyond 32 bits are not int32."""
    assert broken(**{field: value}) == {field}


@pytest.mark.parametrize("value", [-(2**31), -5, 0, 7, 2**31 - 1])
def test_guidance_is_any_int32(value: int) -> None:
    """The page bounds the guidance scale by its type alone."""
    assert read(guidance_scale=value).guidance == value


@pytest.mark.parametrize("value", ["0", "0.0", "0.35", "1", "1.0"])
def test_strength_is_a_string_from_0_to_1(value: str) -> None:
    """The page types `strength` as a string."""
    assert read(strength=value).strength == float(value)


@pytest.mark.parametrize("value", ["-0.1", "1.01", "2", "nan", "inf", "half", 0, 1, 0.5, True])
def test_other_strengths_are_refused(value: object) -> None:
    """Numbers, words and values beyond the ends are refused."""
    assert broken(strength=value) == {"strength"}


@pytest.mark.parametrize("field", ["expand_prompt", "verify_prompt_safety"])
def test_switches_are_booleans(field: str) -> None:
    """True and false, not words or numbers for them."""
    assert getattr(read(**{field: True}), field) is True
    assert broken(**{field: "true"}) == broken(**{field: 1}) == {field}


@pytest.mark.parametrize("value", ["gambling", [1], {"a": 1}, [None]])
def test_topics_are_an_array_of_strings(value: object) -> None:
    """Anything else is refused."""
    assert broken(prompt_rejection_topics=value) == {"prompt_rejection_topics"}
    assert read(prompt_rejection_topics=["gambling"]).rejection_topics == ("gambling",)


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": "  "}, {"prompt": None}])
def test_the_prompt_is_required(body: dict[str, Any]) -> None:
    """No prompt, no picture."""
    with pytest.raises(RequestBroken, match="prompt: is required"):
        read_request(body)


@pytest.mark.parametrize("body", [None, [], "a fox", 7])
def test_a_body_is_an_object(body: object) -> None:
    """The body is one JSON object."""
    with pytest.raises(RequestBroken, match="JSON object"):
        read_request(body)


def test_init_image_is_base64() -> None:
    """Text that is not base64 is refused before anything is decoded."""
    assert broken(init_image="not base64!") == {"init_image"}
    assert read(init_image="aGVsbG8=").init_image == b"hello"


def test_every_broken_rule_is_named_at_once() -> None:
    """A request with five faults learns of all five."""
    assert broken(width=33, seed=0, num_inference_steps=151, strength="2", scheduler="x") == {
        "width",
        "seed",
        "num_inference_steps",
        "strength",
        "scheduler",
    }


def test_the_simulator_imports_nothing_of_ours() -> None:
    """A misreading of the page must not be able to hide in both the client and the simulator."""
    room = Path(__file__).parents[2] / "simulator"
    ours = re.compile(
        r"^\s*(?:from|import) (?:darkroom|playground|storage|tasks|workers)\b", re.MULTILINE
    )
    assert [path.name for path in room.rglob("*.py") if ours.search(path.read_text("utf-8"))] == []

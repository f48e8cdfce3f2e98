"""The request's rules, one by one, against the API's page."""

import pickle
from decimal import Decimal
from typing import Any

import pytest

from playground.errors import RequestInvalid
from playground.request.request import ImageRequest, RequestLimits, check_request
from playground.request.rules import RULES
from playground.request.vocabulary import MODELS, PROMPT_FILTERS, SCHEDULERS
from tests.playground.pictures import base64_of, picture


def faults(raw: object, **limits: Any) -> dict[str, str]:
    """Parse what must be refused, and return the rules by field."""
    with pytest.raises(RequestInvalid) as caught:
        check_request(raw, RequestLimits(**limits))
    return {fault.field: fault.rule for fault in caught.value.faults}


def accepts(**parameters: object) -> ImageRequest:
    """Parse a request that must pass."""
    return check_request({"prompt": "a fox", **parameters})


def test_enums_have_the_lengths_the_page_counts() -> None:
    """The page counts 3 models, 18 schedulers and 36 prompt filters."""
    assert (len(set(MODELS)), len(set(SCHEDULERS)), len(set(PROMPT_FILTERS))) == (3, 18, 36)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("filter_model", name) for name in MODELS),
        *(("scheduler", name) for name in SCHEDULERS),
        *(("prompt_filter", name) for name in PROMPT_FILTERS),
        ("width", 32),
        ("width", 2147483616),
        ("height", 32),
        ("num_inference_steps", 1),
        ("num_inference_steps", 150),
        ("guidance_scale", -(2**31)),
        ("guidance_scale", 2**31 - 1),
        ("seed", 1),
        ("seed", 65535),
        ("expand_prompt", True),
        ("expand_prompt", False),
        ("verify_prompt_safety", True),
        ("negative_prompt", ""),
        ("negative_prompt", "fog"),
        ("prompt", " x "),
        ("prompt", "\U0001f98a" * 5000),
    ],
)
def test_every_allowed_value_is_kept_as_it_came(field: str, value: object) -> None:
    """Each enum value and each inner boundary passes unchanged."""
    assert getattr(accepts(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n\t"),
        ("prompt", "a\0b"),
        ("prompt", "\ud800"),
        ("prompt", None),
        ("prompt", 7),
        ("prompt", b"fox"),
        ("negative_prompt", "a\0b"),
        ("negative_prompt", 1),
        ("filter_model", "Playground_v2"),
        ("filter_model", "playground_v3"),
        ("filter_model", ""),
        ("width", 0),
        ("width", -32),
        ("width", 33),
        ("width", 2**31),
        pytest.param("width", 10**5000, id="width-huge"),
        ("width", True),
        ("width", "64"),
        ("width", 64.0),
        ("height", 48),
        ("height", float("nan")),
        ("num_inference_steps", 0),
        ("num_inference_steps", 151),
        ("num_inference_steps", "50"),
        ("num_inference_steps", True),
        ("guidance_scale", 2**31),
        ("guidance_scale", -(2**31) - 1),
        ("guidance_scale", 7.5),
        ("scheduler", "euler_a"),
        ("scheduler", 1),
        ("seed", 0),
        ("seed", 65536),
        ("seed", -1),
        ("seed", False),
        ("seed", "1"),
        ("seed", float("inf")),
        ("expand_prompt", "true"),
        ("expand_prompt", 1),
        ("verify_prompt_safety", 0),
        ("prompt_rejection_topics", "gambling"),
        ("prompt_rejection_topics", {"gambling"}),
        ("prompt_filter", "old_timey"),
        ("init_image", 5),
    ],
)
def test_every_forbidden_value_is_told_with_field_value_and_rule(field: str, value: object) -> None:
    """Each outer boundary and each wrong type gives exactly one fault, on its own field."""
    with pytest.raises(RequestInvalid) as caught:
        accepts(**{field: value})
    (fault,) = caught.value.faults
    assert fault.field == field
    assert 0 < len(fault.value) <= 80
    assert fault.rule
    assert str(fault) in str(caught.value)


@pytest.mark.parametrize("model", [None, "Playground_v3"])
def test_the_latest_model_wants_sides_in_steps_of_32(model: str | None) -> None:
    """An unset model is the latest, so the rule holds for it too."""
    raw = {"prompt": "x", "filter_model": model, "width": 1000, "height": 31}
    assert faults(raw) == dict.fromkeys(("width", "height"), "a multiple of 32 with Playground_v3")


@pytest.mark.parametrize("model", ["Playground_v2.5", "Photorealism"])
def test_other_models_take_any_side(model: str) -> None:
    """The page has the rule of 32 for version 3 alone."""
    assert accepts(filter_model=model, width=1001, height=1).width == 1001


def test_all_faults_come_at_once_cross_field_rules_included() -> None:
    """For a request with many faults, one error reports all of them."""
    raw = {
        "width": 33,
        "height": "x",
        "num_inference_steps": 151,
        "seed": 0,
        "strength": "2",
        "promt": "a fox",
        "init_image": "aGVsbG8=",
        "prompt_rejection_topics": ["ok", " ", 3],
    }
    assert set(faults(raw)) == {
        "prompt",
        "width",
        "height",
        "num_inference_steps",
        "seed",
        "strength",
        "promt",
        "init_image",
        "prompt_rejection_topics[1]",
        "prompt_rejection_topics[2]",
    }


@pytest.mark.parametrize("raw", [None, [], "{}", 3, b"{}", [("prompt", "x")]])
def test_what_is_no_object_is_one_fault(raw: object) -> None:
    """Input of another type than a dict is refused in one sentence."""
    assert set(faults(raw)) == {"request"}


def test_an_unknown_key_is_named_with_a_near_one() -> None:
    """A misspelt parameter is not dropped in silence."""
    assert (
        "did you mean guidance_scale?"
        in faults({"prompt": "x", "guidance_scal": 3})["guidance_scal"]
    )


@pytest.mark.parametrize("key", [3, None, "\ud800", "a" * 500, ("x",), ""])
def test_a_key_of_any_kind_is_refused_without_a_crash(key: object) -> None:
    """Keys that are no text, or broken text, are faults as others are."""
    with pytest.raises(RequestInvalid) as caught:
        check_request({"prompt": "x", key: 1})
    assert len(caught.value.faults) == 1
    str(caught.value).encode()


def test_a_value_that_looks_secret_is_not_repeated() -> None:
    """A key submitted by mistake does not reach an error text."""
    with pytest.raises(RequestInvalid) as caught:
        check_request({"prompt": "x", "api_key": "sk-123456"})
    assert "sk-123456" not in str(caught.value)


def test_an_initial_image_is_never_echoed_beyond_16_characters() -> None:
    """An error about an image of megabytes stays short."""
    text = "QUJD" * 5000
    with pytest.raises(RequestInvalid) as caught:
        accepts(init_image=text)
    (fault,) = caught.value.faults
    assert text[:17] not in fault.value
    assert "(20000 characters)" in fault.value


def test_extra_models_are_allowed_by_name() -> None:
    """Names the API has learnt since its page was written pass as settings say."""
    raw = {"prompt": "x", "filter_model": "Playground_v2", "width": 33}
    assert check_request(raw, RequestLimits(extra_models=["Playground_v2"])).width == 33
    assert "Playground_v9" in faults(raw, extra_models=["Playground_v9"])["filter_model"]


def test_bounds_of_this_installation_are_told_as_numbers() -> None:
    """Limits that the page does not have come from the caller."""
    raw = {"prompt": "x" * 11, "negative_prompt": "y" * 11, "width": 2048}
    told = faults(raw, max_side_px=1024, max_prompt_chars=10)
    assert set(told) == {"prompt", "negative_prompt", "width"}
    assert "1024" in told["width"]
    assert check_request(raw, RequestLimits(max_side_px=2048, max_prompt_chars=11)).width == 2048


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (0, "0"),
        (1, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.35, "0.35"),
        (1e-05, "0.00001"),
        ("0", "0"),
        ("1", "1"),
        ("1.0", "1.0"),
        (".5", ".5"),
        ("0.350", "0.350"),
    ],
)
def test_strength_becomes_plain_decimal_text(given: object, kept: str) -> None:
    """Numbers are written without exponent; a producer's own text is kept."""
    assert accepts(strength=given).strength == kept


@pytest.mark.parametrize(
    "value",
    ["2", "1.01", 1.01, -0.01, "-0", "nan", "inf", float("nan"), float("inf"), "1e-1", "0,5", "",
     " 1", "1_0", "\u0660", "\u00b2", True, [], pytest.param(10**400, id="huge"), Decimal("0.5"),
     "0." + "0" * 90],
)  # fmt: skip
def test_other_strengths_are_refused(value: object) -> None:
    """Out of range, not finite, or written in a way that is not promised to be read."""
    assert set(faults({"prompt": "x", "strength": value})) == {"strength"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_an_initial_image_of_any_pillow_format_passes(kind: str) -> None:
    """The page takes whatever Pillow reads."""
    text = base64_of(picture(kind=kind))
    assert accepts(init_image=text).init_image == text


def test_a_data_url_and_line_ends_are_taken_off() -> None:
    """The wire form is bare, whatever the producer's tool made."""
    text = base64_of(picture())
    wrapped = f"data:image/png;charset=x;base64,{text[:40]}\r\n{text[40:]}\n"
    assert accepts(init_image=wrapped).init_image == text


def test_an_initial_image_has_a_size_bound_and_a_pixel_bound() -> None:
    """A large file and a small file that unfolds to gigabytes are refused, undecoded."""
    assert faults(
        {"prompt": "x", "init_image": base64_of(picture(40, 40, "BMP"))}, max_init_image_bytes=999
    ) == {"init_image": "an image of at most 999 bytes"}
    header = bytearray(picture(4, 4, "BMP"))
    header[18:26] = (60_000).to_bytes(4, "little") * 2
    assert "pixels" in faults({"prompt": "x", "init_image": base64_of(bytes(header))})["init_image"]


@pytest.mark.parametrize(
    "text", ["", "====", "abc", "aGVsbG8=", "a-_b", "\ud800", "data:image/png;base64,"]
)
def test_an_initial_image_that_is_none_is_refused(text: str) -> None:
    """Neither broken base64 nor base64 of something else passes."""
    assert set(faults({"prompt": "x", "init_image": text})) == {"init_image"}


def test_null_means_not_set() -> None:
    """Every optional parameter may be null, as the page's own seed is."""
    nulls = dict.fromkeys(set(ImageRequest.model_fields) - {"prompt"})
    assert accepts(**nulls) == accepts()


def test_topics_are_kept_in_order_and_frozen() -> None:
    """A list of topics becomes a tuple, so that a request can't be changed after the check."""
    assert accepts(prompt_rejection_topics=["b", "a"]).prompt_rejection_topics == ("b", "a")
    assert accepts(prompt_rejection_topics=[]).prompt_rejection_topics == ()


def test_every_field_has_a_sentence_of_its_own() -> None:
    """The rules in words and the fields of the model are the same set, in the same order."""
    assert list(RULES) == list(ImageRequest.model_fields)


def test_the_error_survives_pickling_with_its_facts() -> None:
    """An error that crosses a process keeps its faults."""
    with pytest.raises(RequestInvalid) as caught:
        check_request({})
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults  # noqa: S301 - our own bytes

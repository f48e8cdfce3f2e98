"""The request on its way out."""

import pytest

from playground.errors import RequestInvalid
from playground.request.request import RequestLimits, check_request
from playground.request.wire import init_image_bytes, kept_form, restore_request, to_wire
from tests.playground.pictures import base64_of, picture


def test_unset_parameters_are_left_out() -> None:
    """A prompt alone is sent as a prompt alone."""
    assert to_wire(check_request({"prompt": "x", "seed": None})) == {"prompt": "x"}


def test_false_and_empty_are_set() -> None:
    """Only null means unset."""
    raw = {"prompt": "x", "expand_prompt": False, "prompt_rejection_topics": []}
    assert to_wire(check_request(raw)) == raw


def test_strength_is_text_on_the_wire() -> None:
    """The page types strength as a string."""
    assert to_wire(check_request({"prompt": "x", "strength": 0.5}))["strength"] == "0.5"


def test_a_missing_seed_is_chosen_within_the_pages_range() -> None:
    """Every chosen seed is 1 to 65535, and they differ."""
    bare = check_request({"prompt": "x"})
    seeds = {kept_form(bare)["seed"] for _ in range(200)}
    assert all(isinstance(seed, int) and 1 <= seed <= 65535 for seed in seeds)
    assert len(seeds) > 100
    assert bare.seed is None


def test_a_given_seed_is_kept() -> None:
    """A producer's own seed is never replaced."""
    assert kept_form(check_request({"prompt": "x", "seed": 7}))["seed"] == 7


def test_the_initial_image_comes_off_and_goes_on_again() -> None:
    """Stored apart and put back, it is sent as it was submitted."""
    data = picture()
    request = check_request({"prompt": "x", "init_image": base64_of(data), "seed": 7})
    row = kept_form(request)
    assert init_image_bytes(request) == data
    assert "init_image" not in row
    assert to_wire(restore_request(row), init_image=data) == to_wire(request)


def test_a_row_is_restored_though_its_model_was_forgotten() -> None:
    """A setting that shrinks does not break jobs accepted before."""
    row = to_wire(
        check_request({"prompt": "x", "filter_model": "new"}, RequestLimits(extra_models=["new"])),
    )
    assert restore_request(row).filter_model == "new"


@pytest.mark.parametrize("row", [None, {}, {"prompt": 3}, {"prompt": "x", "filter_model": ""}])
def test_a_corrupt_row_is_told_as_a_bad_request(row: object) -> None:
    """What is no request any more raises the room's own error."""
    with pytest.raises(RequestInvalid):
        restore_request(row)

"""What holds for any request, valid or not, tried with Hypothesis."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.errors import Fault, RequestInvalid
from playground.request.request import check_request
from playground.request.rules import RULES
from playground.request.schema import request_schema
from playground.request.vocabulary import MODELS, PROMPT_FILTERS, SCHEDULERS
from playground.request.wire import restore_request, to_wire

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
FILLED = TEXT.filter(lambda text: bool(text.strip()))
SIDES = st.integers(1, 60).map(lambda steps: steps * 32)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "negative_prompt": TEXT,
    "filter_model": st.sampled_from(MODELS),
    "width": SIDES,
    "height": SIDES,
    "num_inference_steps": st.integers(1, 150),
    "guidance_scale": st.integers(-(2**31), 2**31 - 1),
    "scheduler": st.sampled_from(SCHEDULERS),
    "seed": st.integers(1, 65535),
    "strength": st.floats(0, 1).map(lambda number: f"{number:.6f}"),
    "expand_prompt": st.booleans(),
    "verify_prompt_safety": st.booleans(),
    "prompt_rejection_topics": st.lists(FILLED, max_size=3),
    "prompt_filter": st.sampled_from(PROMPT_FILTERS),
}
REQUESTS = st.fixed_dictionaries({"prompt": FILLED}, optional=OPTIONAL)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
VALIDATOR = jsonschema.Draft202012Validator(request_schema())


def faults_of(raw: object) -> tuple[Fault, ...]:
    """List a request's faults, none if it passes."""
    try:
        check_request(raw)
    except RequestInvalid as error:
        return error.faults
    return ()


@given(REQUESTS)
@settings(max_examples=150, deadline=None)
def test_a_valid_request_goes_over_the_wire_as_it_came(raw: dict[str, Any]) -> None:
    """What passes is sent exactly: nothing added, nothing lost; and a row reads back the same."""
    request = check_request(raw)
    assert to_wire(request) == raw
    assert restore_request(json.loads(json.dumps(to_wire(request)))) == request


@given(REQUESTS)
@settings(max_examples=60, deadline=None)
def test_a_valid_request_satisfies_the_schema(raw: dict[str, Any]) -> None:
    """The JSON Schema refuses nothing that the checks let pass."""
    VALIDATOR.validate(raw)


@given(REQUESTS, st.sampled_from(sorted(RULES)), ANYTHING)
@settings(max_examples=200, deadline=None)
def test_one_wrong_value_is_told_on_its_own_field(
    raw: dict[str, Any], field: str, value: object
) -> None:
    """Any value in any field passes or is reported by name; no other field is blamed."""
    faults = faults_of({**raw, field: value})
    blamed = {fault.field.partition("[")[0] for fault in faults}
    assert blamed <= {field} or (field == "filter_model" and blamed <= {"width", "height"})
    assert all(len(fault.value) <= 80 for fault in faults)


@given(ANYTHING | st.dictionaries(ANYTHING.filter(lambda v: v.__hash__ is not None), ANYTHING))
@settings(max_examples=200, deadline=None)
def test_nothing_but_request_invalid_ever_comes_out(raw: object) -> None:
    """Garbage of any shape is refused as a bad request, never with another exception."""
    with pytest.raises(RequestInvalid) as caught:
        check_request(raw)
    assert caught.value.faults

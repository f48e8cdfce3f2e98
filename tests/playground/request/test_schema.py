"""The request as JSON Schema."""

from typing import Any

import jsonschema
import pytest

from playground.request.request import ImageRequest
from playground.request.schema import request_schema
from playground.request.vocabulary import MODELS, PROMPT_FILTERS, SCHEDULERS

SCHEMA = request_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def enum_of(field: str) -> list[str]:
    """Find a nullable field's enum."""
    parts: list[dict[str, Any]] = SCHEMA["properties"][field]["anyOf"]
    return next(part["enum"] for part in parts if "enum" in part)


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    """Each parameter is there, with words."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(ImageRequest.model_fields)
    assert all(part["description"] for part in SCHEMA["properties"].values())


def test_the_schema_lists_the_enums() -> None:
    """Models, schedulers and filters are named in full."""
    assert enum_of("filter_model") == list(MODELS)
    assert enum_of("scheduler") == list(SCHEDULERS)
    assert enum_of("prompt_filter") == list(PROMPT_FILTERS)


def test_the_schemas_examples_satisfy_it() -> None:
    """No caller is shown an example that would be refused."""
    for example in SCHEMA["examples"]:
        VALIDATOR.validate(example)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"prompt": ""},
        {"prompt": "x", "width": 33},
        {"prompt": "x", "width": 33, "filter_model": "Playground_v3"},
        {"prompt": "x", "seed": 0},
        {"prompt": "x", "seed": 65536},
        {"prompt": "x", "num_inference_steps": 151},
        {"prompt": "x", "nope": 1},
        {"prompt": "x", "scheduler": "nope"},
    ],
)
def test_the_schema_refuses_what_the_checks_refuse(raw: object) -> None:
    """Bounds, enums, unknown keys and the rule of 32 are in the schema."""
    assert not VALIDATOR.is_valid(raw)


def test_extra_models_are_in_the_schema() -> None:
    """A schema made with the settings' models names them."""
    schema = request_schema(extra_models=["Playground_v4"])
    raw = {"prompt": "x", "filter_model": "Playground_v4", "width": 33}
    jsonschema.Draft202012Validator(schema).validate(raw)

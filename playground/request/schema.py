"""Export the request as JSON Schema, for people and tools that build requests elsewhere.

It is generated from the model, so it cannot differ from what is checked. The one rule that spans
fields (sizes in steps of 32 with the latest model) is added as `if`/`then`.
"""

from collections.abc import Collection
from typing import Any

from playground.request import vocabulary as words
from playground.request.request import ImageRequest, RequestLimits


def request_schema(*, extra_models: Collection[str] = ()) -> dict[str, Any]:
    """Describe a request as JSON Schema (draft 2020-12).

    Args:
        extra_models: model names allowed besides the page's.

    Returns:
        A schema with enums, limits, descriptions and examples.
    """
    schema = ImageRequest.model_json_schema()
    model = next(part for part in schema["properties"]["filter_model"]["anyOf"] if "enum" in part)
    model["enum"] = list(RequestLimits(extra_models=extra_models).models)
    step = {"multipleOf": words.V3_SIDE_STEP_PX}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "description": "One image asked of the Playground API; null or absent means not set.",
        "examples": ImageRequest.examples,
        # An absent model satisfies `properties` too, and is the latest one.
        "if": {"properties": {"filter_model": {"enum": [words.LATEST_MODEL, None]}}},
        "then": {"properties": {"width": step, "height": step}},
    }

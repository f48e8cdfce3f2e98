"""The paid API: the request and its rules, the HTTP client, answers and errors, PNG checking.

This room knows nobody else of ours. What is done with a verdict (retry, pause, store) is decided
in the rooms above it.
"""

from playground.client import PlaygroundClient
from playground.errors import (
    AnswerTooLarge,
    CallFailed,
    NotSent,
    OutcomeUnknown,
    PlaygroundError,
    PngDamaged,
    RequestInvalid,
)
from playground.faults import Fault
from playground.judge import judge
from playground.pending import PendingAnswer
from playground.png import Png, check_png
from playground.recipe import RecipeMode, embed_recipe, recipe_text
from playground.releases import needed_release
from playground.request import ImageRequest, Limits, check_request, parse_request
from playground.schema import request_schema
from playground.verdict import Answer, Meaning, Verdict
from playground.vocabulary import MODELS, PROMPT_FILTERS, SCHEDULERS
from playground.wire import (
    init_image_bytes,
    kept_form,
    restore_request,
    to_wire,
)

__all__ = [
    "MODELS",
    "PROMPT_FILTERS",
    "SCHEDULERS",
    "Answer",
    "AnswerTooLarge",
    "CallFailed",
    "Fault",
    "ImageRequest",
    "Limits",
    "Meaning",
    "NotSent",
    "OutcomeUnknown",
    "PendingAnswer",
    "PlaygroundClient",
    "PlaygroundError",
    "Png",
    "PngDamaged",
    "RecipeMode",
    "RequestInvalid",
    "Verdict",
    "check_png",
    "check_request",
    "embed_recipe",
    "init_image_bytes",
    "judge",
    "kept_form",
    "needed_release",
    "parse_request",
    "recipe_text",
    "request_schema",
    "restore_request",
    "to_wire",
]

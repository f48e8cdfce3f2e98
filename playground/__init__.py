"""The paid API: the request and its rules, the HTTP client, answers and errors, PNG checking.

This room knows nobody else of ours. What is done with a verdict (retry, pause, store) is decided
in the rooms above it.
"""

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
from playground.request import ImageRequest, parse_request
from playground.schema import request_schema
from playground.vocabulary import MODELS, PROMPT_FILTERS, SCHEDULERS
from playground.wire import (
    init_image_bytes,
    restore_request,
    to_wire,
    with_seed,
    without_init_image,
)

__all__ = [
    "MODELS",
    "PROMPT_FILTERS",
    "SCHEDULERS",
    "AnswerTooLarge",
    "CallFailed",
    "Fault",
    "ImageRequest",
    "NotSent",
    "OutcomeUnknown",
    "PlaygroundError",
    "PngDamaged",
    "RequestInvalid",
    "init_image_bytes",
    "parse_request",
    "request_schema",
    "restore_request",
    "to_wire",
    "with_seed",
    "without_init_image",
]

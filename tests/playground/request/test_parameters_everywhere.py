"""A parameter of the API is known in all places where a user looks for it."""

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

from darkroom.cli.jobs.submit import submit
from darkroom_client import Client
from darkroom_client.body import Request
from darkroom_client.testing.rules import faults_in
from playground.answers.recipe import recipe_text
from playground.request.request import ImageRequest
from playground.request.vocabulary import PromptFilter, Scheduler

ROOT = Path(__file__).parents[3]
PARAMETERS = sorted(ImageRequest.model_fields)

REQUEST = ImageRequest.model_validate(
    {
        "prompt": "a heron",
        "negative_prompt": "fog",
        "filter_model": "Playground_v3",
        "width": 1056,
        "height": 1088,
        "num_inference_steps": 37,
        "guidance_scale": 11,
        "scheduler": get_args(Scheduler)[0],
        "seed": 4242,
        "strength": 0.37,
        "expand_prompt": True,
        "prompt_filter": get_args(PromptFilter)[0],
    }
)
#: A recipe leaves these out: a picture of its own, and what does not shape the pixels.
NOT_IN_RECIPE = {"init_image", "verify_prompt_safety", "prompt_rejection_topics"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_docs_api_md_describes_it(name: str) -> None:
    """A row of the table in docs/api.md has its name."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert re.search(rf"^\|[^|]*`{name}`[^|]*\|", page, re.MULTILINE)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_client_accepts_it(name: str) -> None:
    """As an argument of `submit`, and as a key of a batch's requests."""
    assert name in inspect.signature(Client.submit).parameters
    assert name in Request.__annotations__


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_clients_fake_knows_it(name: str) -> None:
    """The fake refuses unknown parameters with the rule "left out"."""
    faults = faults_in({"prompt": "a heron", name: object()}, {})
    assert "left out" not in [fault["rule"] for fault in faults]


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_command_line_has_an_option_for_it(name: str) -> None:
    """`darkroom submit` accepts every parameter."""
    assert name in inspect.signature(submit).parameters


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_simulator_reads_it(name: str) -> None:
    """Its rules name it; it was written from the API's page alone."""
    assert f'"{name}"' in (ROOT / "simulator" / "request" / "rules.py").read_text("utf-8")


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in NOT_IN_RECIPE])
def test_a_full_recipe_shows_it(name: str) -> None:
    """A picture says with what it was made."""
    recipe = recipe_text("full", job_id="j", request=REQUEST)
    assert recipe is not None
    assert str(getattr(REQUEST, name)) in recipe

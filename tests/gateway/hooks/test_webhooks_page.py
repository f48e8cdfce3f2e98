"""docs/webhooks.md says what happens: each example, signed by its sender, becomes a job."""

import base64
import hmac
import json
import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.hooks.config import load_hooks
from gateway.hooks.errors import SignatureInvalid
from gateway.http.problems import problem_of
from storage.queries.get import get_job
from tests.docs.conftest import blocks
from tests.gateway.running import Gateway

REPO = Path(__file__).parents[3]
PAGE = (REPO / "docs" / "webhooks.md").read_text(encoding="utf-8")
FILE = REPO / "examples" / "hooks.toml"
SECRET = base64.b64encode(b"a secret that nobody knows").decode()


@dataclass(frozen=True, slots=True)
class Example:
    """A hook of the page, a payload for it, and the prompt that comes of it."""

    name: str
    toml: str
    payload: str
    prompt: str


def examples() -> list[Example]:
    """All of the page, in its order."""
    prompts = re.findall(r"^comes the prompt `(.*?)`", PAGE, re.MULTILINE)
    found = zip(blocks(PAGE, "toml"), blocks(PAGE, "json"), prompts, strict=True)
    return [
        Example(next(iter(tomllib.loads(toml)["hooks"])), toml, payload, prompt)
        for toml, payload, prompt in found
    ]


EVERY = pytest.mark.parametrize("example", examples(), ids=lambda example: str(example.name))


@pytest.fixture
def overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Every hook of the page in one file, their secrets where it says they are."""
    text = "\n".join(example.toml for example in examples())
    for name in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(name, SECRET)
    before = tmp_path / "before"
    before.write_text("the secret before this one")
    file = tmp_path / "hooks.toml"
    file.write_text(re.sub(r"file:[\w/-]+", f"file:{before}", text), encoding="utf-8")
    return {"hooks_file": file}


def signed(name: str, body: bytes) -> Mapping[str, str]:
    """The headers that each sender of the page sets, by plain HMAC."""
    key, now = SECRET.encode(), int(time.time())

    def digest(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, "sha256").digest()

    if name == "shopify":
        return {"X-Shopify-Hmac-Sha256": base64.b64encode(digest(key, body)).decode()}
    if name == "stripe":
        return {"Stripe-Signature": f"t={now},v1={digest(key, f'{now}.'.encode() + body).hex()}"}
    if name == "releases":
        return {"X-Hub-Signature-256": f"sha256={digest(key, body).hex()}"}
    standard = digest(base64.b64decode(SECRET), f"evt-1.{now}.".encode() + body)
    return {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


def deliver(gateway: Gateway, name: str, body: bytes) -> Any:
    """One delivery, as its sender makes it."""
    answer = gateway.post(f"/v1/hooks/{name}", data=body, headers=dict(signed(name, body)))
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_the_page_shows_four_senders() -> None:
    """Shopify, Stripe, GitHub, and any sender that keeps to the standard."""
    assert [example.name for example in examples()] == ["shopify", "stripe", "releases", "products"]


@EVERY
def test_the_example_file_has_what_the_page_has(example: Example) -> None:
    """Letter for letter, so that one can be copied and the other read."""
    assert example.toml.strip() in FILE.read_text(encoding="utf-8")


def test_the_example_file_has_no_fault() -> None:
    """And no hook that the page does not explain."""
    hooks = load_hooks(FILE, environment=None)
    assert list(hooks) == [example.name for example in examples()]


def test_each_example_becomes_the_job_that_the_page_says(one_gateway: Gateway) -> None:
    """Signed by its sender's scheme, through the real gateway; the second delivery changes none."""
    for example in examples():
        body = example.payload.encode()
        first, again = (deliver(one_gateway, example.name, body) for _ in range(2))
        assert (first["created"], again["created"]) == (True, False)
        job = get_job(one_gateway.database, UUID(first["id"]))
        assert job.request["prompt"] == example.prompt
    assert one_gateway.count_jobs() == len(examples())


def test_types_and_metadata_are_those_of_the_page(one_gateway: Gateway) -> None:
    """A number stays one, a list stays one."""
    last = examples()[-1]
    job = get_job(
        one_gateway.database, UUID(deliver(one_gateway, last.name, last.payload.encode())["id"])
    )
    assert "with the seed 4711" in PAGE
    assert job.request["seed"] == 4711
    assert job.metadata == {"product": "p-17", "tags": ["tea", "green"]}


def test_githubs_ping_is_left_out(one_gateway: Gateway) -> None:
    """As the page says: a success, and no job."""
    body = json.dumps({"zen": "Keep it logically awesome.", "hook_id": 1}).encode()
    answer = deliver(one_gateway, "releases", body)
    assert answer == {"accepted": False, "reason": "filtered"}
    assert json.dumps(answer) in PAGE


def test_every_status_of_the_table_is_one_that_the_route_has(one_gateway: Gateway) -> None:
    """And the other way round, but for a body that does not arrive."""
    document = one_gateway.get("/openapi.json").json()
    promised = document["paths"]["/v1/hooks/{name}"]["post"]["responses"]
    table = PAGE.partition("### Answers to a sender")[2].partition("### Changing")[0]
    told = {
        status
        for row in re.findall(r"^\| ([\d, ]+)", table, re.MULTILINE)
        for status in row.split(", ")
    }
    assert {status.strip() for status in told} == set(promised) - {"408"}
    assert problem_of(SignatureInvalid()).status_code == 401

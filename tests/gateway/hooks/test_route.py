"""Webhooks through the real gateway: a delivery becomes one job, and nothing else becomes any."""

import base64
import gzip
import hmac
import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from standardwebhooks import Webhook

from storage.owners.limits import set_owner_limits
from storage.queries.get import get_job
from storage.records.job import Job
from tests.gateway.running import Gateway, fields_of

SECRET = base64.b64encode(b"a secret of the shop's own").decode()
OLD = base64.b64encode(b"the secret of last summer").decode()
TOKEN = "a-token-that-nobody-guesses"

FILE = """
[hooks.shop]
scheme = "standard"
secrets = ["env:SHOP_SECRET", "file:old-secret"]
owner = "shop"
when = { path = "type", equals = "product.created" }

[hooks.shop.request]
prompt = "a photo of {product.title|a product}, {product.colour}"
width = "{product.width|768}"
height = 768

[hooks.shop.job]
priority = 5
metadata = { product = "{product.id}" }

[hooks.stripe]
scheme = "stripe"
secrets = ["env:SHOP_SECRET"]
key = "{id}"
request = { prompt = "{data.object.description}" }

[hooks.plain]
scheme = "hmac"
header = "X-Signature"
secrets = ["env:SHOP_SECRET"]
request = { prompt = "{title}", seed = "{seed|null}" }

[hooks.token]
scheme = "bearer"
secrets = ["env:SHOP_TOKEN"]
request = { prompt = "{title}" }
"""

CREATED = {
    "type": "product.created",
    "product": {"id": 17, "title": "Grüner Tee", "colour": "green"},
}


@pytest.fixture
def overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A file of hooks, and where its secrets are."""
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    (tmp_path / "old-secret").write_text(f"whsec_{OLD}\n")
    file = tmp_path / "hooks.toml"
    file.write_text(FILE, encoding="utf-8")
    return {"hooks_file": file}


def text_of(payload: Any) -> bytes:
    """A payload as its sender writes it: with spaces, and letters as they are."""
    return json.dumps(payload, ensure_ascii=False, indent=1).encode()


def standard(body: bytes, *, secret: str = SECRET, id_: str = "msg_1", age_s: int = 0) -> Any:
    """A delivery's headers, made by the Standard Webhooks library."""
    at_s = int(time.time()) - age_s
    signed = Webhook(secret).sign(id_, datetime.fromtimestamp(at_s, UTC), body.decode())
    return {"webhook-id": id_, "webhook-timestamp": str(at_s), "webhook-signature": signed}


def stripe(body: bytes, *, age_s: int = 0) -> dict[str, str]:
    """The same in Stripe's form."""
    at_s = int(time.time()) - age_s
    digest = hmac.new(SECRET.encode(), f"{at_s}.".encode() + body, "sha256").hexdigest()
    return {"Stripe-Signature": f"t={at_s},v1={digest}"}


def plain(body: bytes) -> dict[str, str]:
    """The same with an HMAC of the body alone."""
    return {"X-Signature": hmac.new(SECRET.encode(), body, "sha256").hexdigest()}


def deliver(
    gateway: Gateway, name: str, body: bytes, headers: Mapping[str, str]
) -> requests.Response:
    """One delivery."""
    return gateway.post(f"/v1/hooks/{name}", data=body, headers=dict(headers))


def job_of(gateway: Gateway, answer: requests.Response) -> Job:
    """The job of a delivery that was taken in."""
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] is True
    return get_job(gateway.database, UUID(answer.json()["id"]))


def test_a_delivery_becomes_a_job_as_the_file_says(gateway: Gateway) -> None:
    """Owner, prompt, defaults, types, options: all from file and payload."""
    body = text_of(CREATED)
    answer = deliver(gateway, "shop", body, standard(body))
    job = job_of(gateway, answer)
    assert answer.json()["created"] is True
    assert (job.owner, job.priority, job.metadata) == ("shop", 5, {"product": 17})
    assert job.idempotency_key == "hook:shop:msg_1"
    request = dict(job.request)
    assert request.pop("seed")
    assert request == {"prompt": "a photo of Grüner Tee, green", "width": 768, "height": 768}


def test_a_delivery_that_comes_again_is_the_same_job(gateway: Gateway) -> None:
    """As it was, and signed anew a minute later, as senders do with each try."""
    body = text_of(CREATED)
    first = standard(body, age_s=60)
    answers = [
        deliver(gateway, "shop", body, headers)
        for headers in (first, first, standard(body), standard(body, secret=OLD))
    ]
    assert [answer.json()["created"] for answer in answers] == [True, False, False, False]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert gateway.count_jobs() == 1


def test_the_same_delivery_many_times_at_once_is_one_job(gateway: Gateway) -> None:
    """A sender that lost patience, on several connections."""
    body = text_of(CREATED)
    headers = standard(body)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: deliver(gateway, "shop", body, headers), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["created"] for answer in answers) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert gateway.count_jobs() == 1


def test_a_job_of_a_hook_is_seen_by_its_owner(one_gateway: Gateway) -> None:
    """And by no other owner: the sender gets an id, and no more."""
    body = text_of({"title": "a paper fox"})
    answer = deliver(one_gateway, "plain", body, plain(body)).json()
    assert one_gateway.get(f"/v1/jobs/{answer['id']}").json()["owner"] == "default"
    body = text_of(CREATED)
    answer = deliver(one_gateway, "shop", body, standard(body)).json()
    assert one_gateway.get(f"/v1/jobs/{answer['id']}").status_code == 404


def test_the_owners_limits_hold_for_its_hooks(one_gateway: Gateway) -> None:
    """The response says when the sender may come again, and the sender does."""
    set_owner_limits(one_gateway.database, "shop", max_per_second=0.01)
    body = text_of(CREATED)
    assert deliver(one_gateway, "shop", body, standard(body)).status_code == 202
    answer = deliver(one_gateway, "shop", body, standard(body, id_="msg_2"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert one_gateway.count_jobs() == 1


def test_another_event_is_another_job(one_gateway: Gateway) -> None:
    """Even with the same body, where the sender signs an id."""
    body = text_of(CREATED)
    for id_ in ("msg_1", "msg_2"):
        assert deliver(one_gateway, "shop", body, standard(body, id_=id_)).json()["created"]
    assert one_gateway.count_jobs() == 2


def test_an_event_that_comes_again_altered_is_the_first_ones_job(gateway: Gateway) -> None:
    """No conflict that the sender would try to overcome for days."""
    body = text_of(CREATED)
    job = job_of(gateway, deliver(gateway, "shop", body, standard(body)))
    altered = text_of(CREATED | {"product": {"id": 17, "title": "Black tea", "colour": "black"}})
    answer = deliver(gateway, "shop", altered, standard(altered))
    assert (answer.status_code, answer.json()["created"]) == (202, False)
    assert job_of(gateway, answer).request == job.request
    assert gateway.count_jobs() == 1


def test_without_a_signed_id_the_body_is_the_event(one_gateway: Gateway) -> None:
    """An id in a header that is not signed makes no second job."""
    body = text_of({"title": "a paper fox"})
    for id_ in ("1", "2"):
        headers = plain(body) | {
            "webhook-id": id_,
            "X-GitHub-Delivery": id_,
            "Idempotency-Key": id_,
        }
        answer = deliver(one_gateway, "plain", body, headers)
        assert job_of(one_gateway, answer).request["prompt"] == "a paper fox"
    assert one_gateway.count_jobs() == 1


def test_the_files_key_says_what_the_event_is(one_gateway: Gateway) -> None:
    """Stripe's retries differ in a counter, and their `id` is the same."""
    for pending in (2, 1):
        event = {"id": "evt_1", "pending": pending, "data": {"object": {"description": "a fox"}}}
        body = text_of(event)
        job = job_of(one_gateway, deliver(one_gateway, "stripe", body, stripe(body)))
        assert job.idempotency_key == "hook:stripe:evt_1"
    assert one_gateway.count_jobs() == 1


def test_while_secrets_are_changed_both_are_taken(one_gateway: Gateway) -> None:
    """The old one lies in a file beside the hooks, with its prefix and a line's end."""
    body = text_of(CREATED)
    for number, secret in enumerate((SECRET, OLD)):
        headers = standard(body, secret=secret, id_=f"msg_{number}")
        assert deliver(one_gateway, "shop", body, headers).status_code == 202


def test_a_token_is_enough_where_the_file_says_so(one_gateway: Gateway) -> None:
    """And an API key is none."""
    body = text_of({"title": "a paper fox"})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert deliver(one_gateway, "token", body, headers).status_code == 202
    headers = {"Authorization": f"Bearer {TOKEN}x"}
    assert deliver(one_gateway, "token", body, headers).status_code == 401


def test_what_is_not_from_the_sender_is_answered_like_an_unknown_hook(gateway: Gateway) -> None:
    """Tampered, old, of the future, unsigned, signed with another secret: nothing tells which."""
    body = text_of(CREATED)
    good = standard(body)
    strangers = [
        deliver(gateway, "shop", body.replace(b"17", b"18"), good),
        deliver(gateway, "shop", body, standard(body, age_s=301)),
        deliver(gateway, "shop", body, standard(body, age_s=-400)),
        deliver(gateway, "shop", body, standard(body, secret=base64.b64encode(b"x" * 24).decode())),
        deliver(gateway, "shop", body, good | {"webhook-id": "msg_2"}),
        deliver(gateway, "shop", body, {}),
        deliver(gateway, "shop", b"\xff{", {}),
        deliver(gateway, "stripe", body, stripe(body, age_s=301)),
        deliver(gateway, "nobody", body, good),
        deliver(gateway, "%2e%2e%00", body, good),
    ]
    assert {answer.status_code for answer in strangers} == {401}
    assert len({answer.content for answer in strangers}) == 1
    kept = ("content-length", "content-type", "www-authenticate", "cache-control")
    assert len({tuple(answer.headers[name] for name in kept) for answer in strangers}) == 1
    assert gateway.count_jobs() == 0


def test_what_the_filter_leaves_out_is_done_with(one_gateway: Gateway) -> None:
    """A success, so that it is not sent again; and no job."""
    body = text_of(CREATED | {"type": "product.deleted"})
    answer = deliver(one_gateway, "shop", body, standard(body))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": False, "reason": "filtered"}
    assert one_gateway.count_jobs() == 0


def test_a_payload_that_lacks_something_is_told_what(
    one_gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Every field, in the answer and, without values, in the log."""
    body = text_of({"type": "product.created", "product": {"width": 512}})
    with caplog.at_level(logging.WARNING, "gateway.hooks"):
        answer = deliver(one_gateway, "shop", body, standard(body))
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:darkroom:problem:payload-unfit"
    assert fields_of(answer) == ["request.prompt", "job.metadata.product"]
    rules = [fault["rule"] for fault in answer.json()["faults"]]
    assert rules[0] == "in the payload, which has no product.colour"
    assert one_gateway.count_jobs() == 0
    assert "hook shop" in caplog.text


def test_a_request_that_the_api_would_refuse_is_told_so(one_gateway: Gateway) -> None:
    """The mapping worked; what came out of it has faults like any other request."""
    body = text_of({"title": " ", "seed": "seven"})
    answer = deliver(one_gateway, "plain", body, plain(body))
    assert answer.status_code == 422
    assert fields_of(answer) == ["prompt", "seed"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"title": 1, "title": 2}', b'{"title": NaN}', b'{"title": "\\ud800"}']
)
def test_a_signed_body_that_is_ambiguous_is_refused(one_gateway: Gateway, body: bytes) -> None:
    """400, as everywhere; a secret is no licence for two meanings."""
    answer = deliver(one_gateway, "plain", body, plain(body))
    assert answer.status_code == 400
    assert one_gateway.count_jobs() == 0


def test_a_body_too_large_is_refused_before_it_is_hashed(one_gateway: Gateway) -> None:
    """Whether or not there is such a hook."""
    body = text_of({"title": "x" * 1_000_001})
    for name in ("plain", "nobody"):
        assert deliver(one_gateway, name, body, plain(body)).status_code == 413


def test_a_coded_body_is_refused(one_gateway: Gateway) -> None:
    """Its sender signed either the bytes before coding or those after: nothing says which."""
    body = gzip.compress(text_of({"title": "a paper fox"}))
    headers = plain(body) | {"Content-Encoding": "gzip"}
    assert deliver(one_gateway, "plain", body, headers).status_code == 415


def test_a_very_long_id_still_is_one_event(one_gateway: Gateway) -> None:
    """Its hash takes its place in the key."""
    body = text_of(CREATED)
    for _ in range(2):
        answer = deliver(one_gateway, "shop", body, standard(body, id_="m" * 3000))
    assert len(str(job_of(one_gateway, answer).idempotency_key)) < 100
    assert one_gateway.count_jobs() == 1


def test_no_secret_signature_or_payload_is_logged(
    one_gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever becomes of the delivery."""
    body = text_of(CREATED)
    with caplog.at_level(logging.DEBUG):
        for headers in (standard(body), standard(body), plain(body)):
            deliver(one_gateway, "shop", body, headers)
    for secret in (SECRET, OLD, standard(body)["webhook-signature"], "Grüner", "msg_1"):
        assert secret not in caplog.text

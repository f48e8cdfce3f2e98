"""The API's one address over real HTTP, as a client written for the real API would use it."""

import base64
import io
import json
from typing import Any

import pytest
import requests
from PIL import Image

from tests.simulator.running import (
    SMALL,
    RunningSimulator,
    StartSimulator,
    as_base64,
    picture_of,
    png_of,
)


def test_a_success_is_one_bare_base64_png_of_the_size_asked_for(server: RunningSimulator) -> None:
    """`{"images": ["<base64 PNG>"]}` and nothing else, without a `data:` prefix."""
    answer = server.call(width=96, height=64)
    assert list(answer.json()) == ["images"]
    picture = picture_of(answer)
    assert (picture.format, picture.size, picture.mode) == ("PNG", (96, 64), "RGB")
    assert picture.info["Software"] == "darkroom simulator"


def test_the_same_call_brings_the_same_bytes(server: RunningSimulator) -> None:
    """Determinism holds over HTTP; another seed is another picture."""
    first, second = png_of(server.call()), png_of(server.call())
    assert first == second != png_of(server.call(seed=8))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": "a fox", "width": 1000}, "width"),
        ({"prompt": "a fox", "num_inference_steps": 151}, "num_inference_steps"),
        ({"prompt": "a fox", "seed": 65536}, "seed"),
        ({"prompt": "a fox", "init_image": base64.b64encode(b"no picture").decode()}, "init_image"),
        ([], "body"),
    ],
)
def test_a_broken_rule_is_a_400_that_names_it_and_costs_nothing(
    server: RunningSimulator, body: Any, field: str
) -> None:
    """The body carries `code` and `message`; the ledger stays empty."""
    answer = server.post(body)
    assert answer.status_code == 400
    told = answer.json()
    assert told["code"] == "INVALID_REQUEST"
    assert field in told["message"]
    assert [one["field"] for one in told["errors"]] == [field]
    assert server.control("GET", "/ledger")["total"] == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_a_400(server: RunningSimulator, raw: bytes) -> None:
    """No body breaks the simulator."""
    answer = server.session.post(server.url, data=raw, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt_rejection_topics": ["gambling"], "prompt": "a casino"},
        {"verify_prompt_safety": True, "prompt": "a massacre"},
    ],
)
def test_an_unsafe_prompt_is_refused_for_nothing(
    server: RunningSimulator, fields: dict[str, Any]
) -> None:
    """PROMPT_UNSAFE is the page's own code; a refusal is not charged."""
    answer = server.call(**fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "PROMPT_UNSAFE")
    assert server.control("GET", "/ledger")["total"] == 0


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "sekret", "Basic sekret"])
def test_a_configured_key_is_asked_for(start: StartSimulator, header: str | None) -> None:
    """Missing and wrong keys get 401 with `code` and `message`; the right one is served."""
    server = start("--latency-scale", "0", "--api-key", "sekret")
    headers = {} if header is None else {"Authorization": header}
    refused = server.post({"prompt": "a fox", **SMALL}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED")
    good = server.post({"prompt": "a fox", **SMALL}, headers={"Authorization": "Bearer sekret"})
    assert good.status_code == 200


def test_a_key_is_checked_before_the_request(start: StartSimulator) -> None:
    """An empty request with a good key is a 400, with a bad one a 401: a free way to test a key."""
    server = start("--latency-scale", "0", "--api-key", "sekret")
    assert server.post({}, headers={"Authorization": "Bearer sekret"}).status_code == 400
    assert server.post({}, headers={"Authorization": "Bearer other"}).status_code == 401


def test_other_methods_and_addresses_are_refused_in_json(server: RunningSimulator) -> None:
    """405 and 404 carry `code` and `message` too."""
    wrong_method = server.session.get(server.url, timeout=20)
    wrong_place = requests.Session.post(server.session, server.root + "/api", timeout=20)
    assert (wrong_method.status_code, wrong_place.status_code) == (405, 404)
    assert {"code", "message"} <= wrong_method.json().keys() & wrong_place.json().keys()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_strength_0_returns_the_first_picture(server: RunningSimulator, kind: str) -> None:
    """In any format Pillow reads, brought to the size asked for."""
    first = Image.linear_gradient("L").convert("RGB")
    encoded = as_base64(first, kind)
    back = picture_of(server.call(init_image=encoded, strength="0", **SMALL))
    seen = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    assert back.tobytes() == seen.resize((64, 64), Image.Resampling.LANCZOS).tobytes()


def test_strength_1_is_wholly_new(server: RunningSimulator) -> None:
    """Nothing of the first picture is left."""
    encoded = as_base64(Image.new("RGB", (10, 10), "red"))
    assert png_of(server.call(init_image=encoded, strength="1")) == png_of(server.call())


def test_a_decompression_bomb_is_refused(server: RunningSimulator) -> None:
    """A small file that would unfold into a huge picture is turned away unopened."""
    bomb = as_base64(Image.new("1", (8_000, 8_000)))
    answer = server.call(init_image=bomb)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "init_image")


def test_charged_calls_stand_in_the_ledger(server: RunningSimulator) -> None:
    """Each picture counts once under its prompt and seed, and a reset forgets them."""
    for seed in (1, 1, 2):
        server.call(seed=seed)
    calls = server.control("GET", "/ledger")["calls"]
    assert {(one["seed"], one["count"]) for one in calls} == {(1, 2), (2, 1)}
    assert server.control("GET", "/ledger?seed=1&prompt=a+fox")["total"] == 2
    assert server.control("DELETE", "/ledger")["total"] == 0


def test_a_caller_who_left_is_charged_all_the_same(server: RunningSimulator) -> None:
    """The work is done whether or not anybody still listens."""
    server.control("PUT", "/latency", {"range_s": [0.4, 0.4]})
    with pytest.raises(requests.exceptions.ReadTimeout):
        server.post({"prompt": "gone", **SMALL}, timeout=0.1)
    while not server.control("GET", "/ledger")["total"]:
        pass
    assert server.control("GET", "/ledger")["calls"][0]["prompt"] == "gone"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/latency", {"scale": -1}),
        ("/latency", {"range_s": [3, 1]}),
        ("/latency", {"speed": 1}),
        ("/latency", "fast"),
        ("/faults", {"kind": "hang"}),
        ("/faults", [{"kind": "nonsense"}]),
        ("/faults", [{"kind": "hang", "rate": 2}]),
        ("/faults", [{"kind": "hang", "often": True}]),
        ("/faults", [{"kind": "status", "status": "500"}]),
        ("/faults", [{"kind": "reset_before", "prompt": "fox"}]),
    ],
)
def test_a_control_request_that_makes_no_sense_is_refused(
    server: RunningSimulator, path: str, body: Any
) -> None:
    """The control routes say what is wrong, and change nothing."""
    answer = server.session.put(server.root + path, data=json.dumps(body), timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (400, "CONTROL_REFUSED")
    assert server.control("GET", "/faults") == []
    assert server.control("GET", "/latency")["scale"] == 0

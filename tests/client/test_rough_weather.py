"""Streams that break, pictures that come damaged, gateways that go away while someone waits."""

import hashlib
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom_client import (
    Client,
    ImageDamaged,
    NoAnswer,
    Retries,
    Unauthorized,
    Unavailable,
    WebhookInvalid,
    webhooks,
)
from darkroom_client.body import Lines
from darkroom_client.events import Stream
from gateway.auth.caller import Authenticate
from gateway.errors import Unauthenticated
from tasks.webhooks.sending.signature import new_secret, signed_headers
from tests.client.scripted import Line, scripted
from tests.gateway.running import Gateway

ID = "1f0c2d4e-0000-4000-8000-000000000001"
AT_ONCE = Retries(attempts=3, first_wait_s=0.0)
PICTURE = b"a picture" * 1000
BUSY = Line(503, headers={"Retry-After": "0"})


def job(status: str = "succeeded", **more: Any) -> Line:
    """The gateway's word about a job."""
    return Line(200, json.dumps({"id": ID, "status": status, **more}).encode())


def event(name: str, status: str) -> bytes:
    """One event, and how soon to come back."""
    return f'retry: 1\n\nid: {name}\nevent: status\ndata: {{"status": "{status}"}}\n\n'.encode()


def with_picture() -> Line:
    """A job with one picture."""
    digest = hashlib.sha256(PICTURE).hexdigest()
    return job(images=[{"index": 0, "sha256": digest, "url": None}])


@pytest.mark.enable_socket
def test_a_stream_of_events_that_breaks_is_taken_up_where_it_broke() -> None:
    """The half event is left out, and the gateway gets the id of the last whole event."""
    stream = {"Content-Type": "text/event-stream"}
    broken = Line(200, event("1", "queued") + b"id: 2\ndata: {", stream, hang_up=True)
    rest = Line(200, b": still here\n\n" + event("3", "succeeded"), stream)
    with scripted(broken, BUSY, rest) as script, Client(script.url, retries=AT_ONCE) as client:
        found = [(each.id, each.data["status"]) for each in client.job(ID).events()]
        assert found == [("1", "queued"), ("3", "succeeded")]
        assert [heard.headers.get("last-event-id") for heard in script.heard] == [None, "1", "1"]


@pytest.mark.enable_socket
def test_a_gateway_that_stays_away_ends_a_stream_of_events() -> None:
    """The client does not ask it indefinitely."""
    with scripted(BUSY) as script, Client(script.url, retries=AT_ONCE) as client:
        with pytest.raises(Unavailable):
            list(client.job(ID).events())
        assert len(script.heard) == 3


@pytest.mark.enable_socket
def test_who_waits_with_a_timeout_waits_for_a_gateway_that_is_away_too() -> None:
    """A restart takes longer than a few attempts."""
    away = [Line(0), BUSY]
    with scripted(*away, job()) as script, Client(script.url, retries=Retries(1)) as client:
        assert client.job(ID).wait(timeout_s=60).status == "succeeded"
    with scripted(*away, job()) as script, pytest.raises(Unavailable):
        Client(script.url, retries=Retries(1)).job(ID).wait()


@pytest.mark.enable_socket
def test_a_limit_that_is_reached_does_not_end_a_wait() -> None:
    """A 429 while waiting says when to ask again, and nothing about the job."""
    limit = Line(429, headers={"Retry-After": "0"})
    with scripted(limit, limit, job()) as script, Client(script.url, retries=Retries(1)) as client:
        assert client.job(ID).wait(timeout_s=60).status == "succeeded"
        assert len(script.heard) == 3


@pytest.mark.enable_socket
def test_a_picture_is_fetched_from_the_bucket_without_the_api_key() -> None:
    """A signed link needs none, and the bucket is another party."""
    with scripted(Line(200, PICTURE)) as bucket:
        link = Line(302, headers={"Location": f"{bucket.url}/fox.png?signature=abc"})
        with scripted(with_picture(), link) as script, Client(script.url, "drk_x") as client:
            assert client.job(ID).images[0].bytes() == PICTURE
            assert {heard.headers["authorization"] for heard in script.heard} == {"Bearer drk_x"}
        assert "authorization" not in bucket.heard[0].headers


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Line(200, PICTURE[:-1] + b"?"), ImageDamaged),
        (Line(200, PICTURE[:-1]), ImageDamaged),
        (Line(200, PICTURE[:100], hang_up=True), NoAnswer),
    ],
)
def test_a_picture_that_comes_damaged_is_no_file(
    answer: Line, error: type[Exception], tmp_path: Path
) -> None:
    """And what was there before is still there."""
    target = tmp_path / "fox.png"
    target.write_bytes(b"the old one")
    with scripted(with_picture(), answer) as script, Client(script.url) as client:
        image = client.job(ID).images[0]
        with pytest.raises(error):
            image.save(target)
        with pytest.raises(error):
            image.bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["fox.png"]
    assert target.read_bytes() == b"the old one"


@pytest.fixture
def authenticate() -> Authenticate:
    """No caller is known."""

    def refuse(authorization: str | None) -> Any:
        del authorization
        raise Unauthenticated

    return refuse


def test_a_refusal_that_comes_while_lines_are_still_sent_is_told_as_such(
    one_gateway: Gateway,
) -> None:
    """And not as a broken connection."""
    many = ({"prompt": "a fox " * 100, "key": str(number)} for number in range(10_000))
    with Client(one_gateway.url, "drk_wrong") as client, pytest.raises(Unauthorized):
        client.submit_many(many)


def test_a_batch_needs_no_more_memory_than_a_piece_of_it() -> None:
    """However many lines there are."""

    def jobs() -> Iterator[dict[str, Any]]:
        for number in range(30_000):
            yield {"prompt": "a fox " * 20, "key": str(number)}

    tracemalloc.start()
    try:
        sent_bytes = sum(map(len, Lines(jobs()).pieces()))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent_bytes > 4_000_000
    assert peak_bytes < 1_000_000


def test_lines_are_those_that_json_readers_expect() -> None:
    """One object a line; unset values are left out, and bytes become base64."""
    jobs: list[dict[str, Any]] = [
        {"prompt": "ein Fuchs\nfür dich", "seed": None},
        {"init_image": b"\x89PNG"},
    ]
    body = b"".join(Lines(jobs).pieces())
    assert [json.loads(line) for line in body.splitlines()] == [
        {"prompt": "ein Fuchs\nfür dich"},
        {"init_image": "iVBORw=="},
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_however_the_bytes_are_cut(size: int) -> None:
    """Within a letter, a line end or a field."""
    body = (
        b": hello\r\n\r\nretry: 250\n\nid: 1\nevent: status\ndata: "
        + '{"status":\ndata: "für"}'.encode()
        + b"\n\nid: 2\n\ndata: no json\n\ndata:[1]\nid: 3\nunknown\n\ndata: cut"
    )
    stream = Stream()
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    found = [(each.id, each.name, each.data) for each in stream.events(stream.lines(pieces))]
    assert found == [("1", "status", {"status": "für"}), ("3", "message", {"value": [1]})]
    assert (stream.last_id, stream.wait_s) == ("3", 0.25)


def test_what_the_house_signs_the_client_accepts() -> None:
    """While a secret is being changed, too."""
    old, new = new_secret(), new_secret()
    body = b'{"type": "job.succeeded"}'
    headers = signed_headers([new, old], message_id="msg_1", timestamp_s=1_790_000_000, body=body)
    for secret in (old, new, [old, new]):
        assert webhooks.verify(headers, body, secret, now=1_790_000_000).id == "msg_1"
    with pytest.raises(WebhookInvalid):
        webhooks.verify(headers, body, new_secret(), now=1_790_000_000)


def test_a_forked_process_uses_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on one socket would read each other's answers."""
    connection = Client("http://127.0.0.1:9")._connection
    before = connection._own_session()
    assert connection._own_session() is before
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert connection._own_session() is not before

"""Every fault over real HTTP: what the caller sees, and whether it was charged."""

import base64
import binascii
import io
import json
import socket
import struct
from typing import Any

import pytest
import requests
from PIL import Image

from simulator.faults.fault_book import KINDS, FaultBook, Moment, read_rules
from simulator.faults.untidy import FORMS
from tests.simulator.running import SMALL, RunningSimulator, png_of


def arm(server: RunningSimulator, kind: str, **rule: Any) -> None:
    """Puts one rule in force."""
    assert server.control("PUT", "/faults", [{"kind": kind, **rule}])[0]["kind"] == kind


def charged(server: RunningSimulator) -> int:
    """How many calls were charged."""
    return int(server.control("GET", "/ledger")["total"])


STATUSES = [401, 402, 403, 404, 405, 408, 413, 422, 429, 500, 502, 503, 504, 520, 524, 527]


@pytest.mark.parametrize("status", STATUSES)
def test_any_status_can_be_had_and_costs_nothing(server: RunningSimulator, status: int) -> None:
    """With a JSON body that carries `code` and `message`."""
    arm(server, "status", status=status)
    answer = server.call()
    assert answer.status_code == status
    assert {"code", "message"} <= answer.json().keys()
    assert "retry-after" not in answer.headers
    assert charged(server) == 0


@pytest.mark.parametrize("value", [3, "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_too_fast_may_say_when_to_come_back(server: RunningSimulator, value: int | str) -> None:
    """`Retry-After` in seconds or as a date."""
    arm(server, "status", status=429, retry_after=value)
    assert server.call().headers["retry-after"] == str(value)


def test_a_status_can_be_charged(server: RunningSimulator) -> None:
    """A gateway's 504 after the work was done, which the caller cannot tell from any other."""
    arm(server, "status", status=504, charged=True)
    assert server.call().status_code == 504
    assert charged(server) == 1
    assert server.call(seed=0).status_code == 400
    assert charged(server) == 1


def test_an_html_page_comes_with_200(server: RunningSimulator) -> None:
    """As a captive portal or a bot check would answer."""
    arm(server, "html")
    answer = server.call()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert charged(server) == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_can_come_without_its_picture(server: RunningSimulator, status: int) -> None:
    """Charged, as the work was done."""
    arm(server, "empty", status=status)
    answer = server.call()
    assert (answer.status_code, answer.content) == (status, b"")
    assert charged(server) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_picture_can_come_in_an_untidy_wrapping(
    server: RunningSimulator, form: str
) -> None:
    """Another answer than the usual one, charged as any."""
    arm(server, "untidy", form=form)
    answer = server.call()
    assert answer.ok
    server.control("PUT", "/faults", [])
    usual = server.call()
    assert (answer.status_code, answer.content) != (usual.status_code, usual.content)
    assert charged(server) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_points_elsewhere(server: RunningSimulator, status: int) -> None:
    """The place it names is the rule's."""
    arm(server, "redirect", status=status, location="http://127.0.0.1:9/x")
    answer = server.call()
    assert (answer.status_code, answer.headers["location"]) == (status, "http://127.0.0.1:9/x")
    assert charged(server) == 0


def test_a_refusal_is_prompt_unsafe(server: RunningSimulator) -> None:
    """The documented code, for nothing."""
    arm(server, "refusal")
    answer = server.call()
    assert (answer.status_code, answer.json()["code"]) == (400, "PROMPT_UNSAFE")
    assert charged(server) == 0


def test_json_can_be_cut_short(server: RunningSimulator) -> None:
    """A 200 that says it is JSON and is not."""
    arm(server, "not_json")
    answer = server.call()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)
    assert charged(server) == 0


def test_a_reset_before_reading_leaves_the_body_unread(server: RunningSimulator) -> None:
    """The connection is reset while the caller still waits to send its body; nothing is charged."""
    arm(server, "reset_before")
    head = b"POST /api/models/external/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(head)
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert charged(server) == 0


@pytest.mark.parametrize(("rule", "cost"), [({}, 1), ({"charged": False}, 0)])
def test_a_reset_after_reading_is_charged_unless_told_otherwise(
    server: RunningSimulator, rule: dict[str, Any], cost: int
) -> None:
    """The caller sees a reset connection and cannot know which it was."""
    arm(server, "reset_after", **rule)
    with pytest.raises(requests.exceptions.ConnectionError, match="reset"):
        server.call()
    assert charged(server) == cost


def test_a_reset_midway_cuts_the_body(server: RunningSimulator) -> None:
    """Headers and half of the body arrive, then the line goes dead; charged."""
    arm(server, "reset_midway")
    errors = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
    with pytest.raises(errors):
        server.call()
    assert charged(server) == 1


def test_a_hang_never_answers(server: RunningSimulator) -> None:
    """The request was read and charged; no byte comes back."""
    arm(server, "hang")
    with pytest.raises(requests.exceptions.ReadTimeout):
        server.post({"prompt": "a fox", **SMALL}, timeout=0.4)
    assert charged(server) == 1


def test_a_trickle_drips(server: RunningSimulator) -> None:
    """Each drop arrives within any read timeout, yet the response lasts indefinitely; charged."""
    arm(server, "trickle", bytes_per_s=50)
    with server.post({"prompt": "a fox", **SMALL}, stream=True) as answer:
        assert answer.status_code == 200
        total = int(answer.headers["content-length"])
        drops = answer.iter_content(1)
        first = b"".join(next(drops) for _ in range(12))
    assert first == b'{"images":["'
    assert total > 1000
    assert charged(server) == 1


def test_a_fast_trickle_brings_the_whole_picture(server: RunningSimulator) -> None:
    """Dripping does not damage what is sent."""
    arm(server, "trickle", bytes_per_s=10_000_000)
    assert png_of(server.call())


def test_images_can_be_empty(server: RunningSimulator) -> None:
    """A success without a picture, charged."""
    arm(server, "empty_images")
    assert server.call().json() == {"images": []}
    assert charged(server) == 1


def test_base64_can_be_bad(server: RunningSimulator) -> None:
    """Strict decoding fails; charged."""
    arm(server, "bad_base64")
    (text,) = server.call().json()["images"]
    with pytest.raises(binascii.Error):
        base64.b64decode(text, validate=True)
    assert charged(server) == 1


def test_a_png_can_be_truncated(server: RunningSimulator) -> None:
    """It begins as the whole one does, and ends in its middle; charged."""
    whole = png_of(server.call())
    arm(server, "truncated_png")
    cut = png_of(server.call())
    assert whole.startswith(cut)
    assert 0 < len(cut) < len(whole)
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(cut)).load()
    assert charged(server) == 2


def test_a_bit_can_be_flipped(server: RunningSimulator) -> None:
    """Exactly one bit differs, within a chunk whose checksum no longer fits; charged."""
    whole = png_of(server.call())
    arm(server, "flipped_bit")
    bad = png_of(server.call())
    differing = [a ^ b for a, b in zip(whole, bad, strict=True) if a != b]
    assert [bits.bit_count() for bits in differing] == [1]
    at = bad.index(b"IDAT")
    (size,) = struct.unpack(">I", bad[at - 4 : at])
    (told,) = struct.unpack(">I", bad[at + 4 + size : at + 8 + size])
    assert binascii.crc32(bad[at : at + 4 + size]) != told
    assert charged(server) == 2


def test_a_body_can_be_too_large(server: RunningSimulator) -> None:
    """As large as the rule says; charged."""
    arm(server, "oversized", size_bytes=3_000_000)
    assert len(server.call().content) == 3_000_000 + len('{"images":[""]}')
    assert charged(server) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_invalid_request_is_never_charged(server: RunningSimulator, kind: str) -> None:
    """Whatever fault is armed and whatever it says about money."""
    rule = {} if kind == "reset_before" else {"charged": True}
    arm(server, kind, **rule)
    try:
        server.call(seed=0)
    except requests.exceptions.ConnectionError:
        assert kind == "reset_before"
    assert charged(server) == 0


def test_a_count_ends_a_fault(server: RunningSimulator) -> None:
    """Two calls fail, the third is served, and the hits are reported."""
    arm(server, "status", status=500, count=2)
    assert [server.call().status_code for _ in range(3)] == [500, 500, 200]
    assert server.control("GET", "/faults")[0]["hits"] == 2


def test_a_fault_can_be_meant_for_one_prompt(server: RunningSimulator) -> None:
    """Other prompts do not notice."""
    arm(server, "empty_images", prompt="wolf")
    assert server.call(prompt="a fox").json()["images"]
    assert server.call(prompt="a wolf").json()["images"] == []


def test_the_first_rule_that_strikes_wins(server: RunningSimulator) -> None:
    """Rules are tried in their order."""
    rules = [{"kind": "status", "status": 500, "count": 1}, {"kind": "status", "status": 503}]
    server.control("PUT", "/faults", rules)
    assert [server.call().status_code for _ in range(2)] == [500, 503]


def test_a_rate_strikes_its_share() -> None:
    """Thirty per cent is about 300 of 1,000, and the same ones on every run."""

    def struck() -> list[bool]:
        book = FaultBook(read_rules([{"kind": "status", "rate": 0.3}]))
        return [book.strike(Moment.INSTEAD) is not None for _ in range(1000)]

    assert 250 < sum(struck()) < 350
    assert struck() == struck()


def test_a_dropped_fault_is_gone(server: RunningSimulator) -> None:
    """DELETE brings back good service."""
    arm(server, "status")
    server.control("DELETE", "/faults")
    assert server.call().status_code == 200


def test_a_served_connection_goes_on_after_a_fault(server: RunningSimulator) -> None:
    """Faults that answer leave the kept-alive connection usable."""
    arm(server, "status", status=503, count=1)
    raw = b'{"prompt":"a fox","width":32,"height":32}'
    head = b"POST /api/models/external/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as line, line.makefile("rb") as file:
        for expected in (b"503", b"200"):
            line.sendall(head % len(raw) + raw)
            assert expected in file.readline()
            size = 0
            while (header := file.readline()) != b"\r\n":
                name, _, value = header.partition(b":")
                size = int(value) if name == b"content-length" else size
            assert len(file.read(size)) == size

"""Hostile and broken requests: a clear 4xx, never a 500, and nothing stored."""

import gzip
import itertools
import json
import logging
import socket
import time
import zlib
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import requests

from darkroom.wiring.gateway import GatewayWiring
from gateway.server import PatientOnlySoLong
from tests.gateway.running import WITHIN_S, Gateway, serving

FOX = b'{"request": {"prompt": "a paper fox"}}'
JSON = {"Content-Type": "application/json"}
GZIP = {**JSON, "Content-Encoding": "gzip"}

BODIES = {
    "nothing": b"",
    "no JSON": b"prompt=a+fox",
    "a text": b'"a fox"',
    "an array": b"[]",
    "null": b"null",
    "cut short": FOX[:-1],
    "more than one": FOX + FOX,
    "an open text": b'{"request": "a fox',
    "an open escape": b'{"request": "a fox\\',
    "a byte order mark": b"\xef\xbb\xbf" + FOX,
    "UTF-16": FOX.decode().encode("utf-16"),
    "bytes that are no UTF-8": b'{"request": {"prompt": "\xff\xfe"}}',
    "a key twice": b'{"request": {"prompt": "a fox", "prompt": "a dog"}}',
    "a key twice by an escape": b'{"request": {"prompt": "a fox", "pr\\u006fmpt": "a dog"}}',
    "NaN": b'{"request": {"prompt": "a fox", "guidance_scale": NaN}}',
    "infinity": b'{"request": {"prompt": "a fox"}, "priority": -Infinity}',
    "an infinite number": b'{"request": {"prompt": "a fox"}, "expires_in_s": 1e999}',
    "a number of 10,000 digits": b'{"request": {"prompt": "x", "seed": ' + b"9" * 10_000 + b"}}",
    "a seed of 30 digits": b'{"request": {"prompt": "x", "seed": ' + b"9" * 30 + b"}}",
    "half a surrogate pair": b'{"request": {"prompt": "\\ud800"}}',
    "half a surrogate pair as a key": b'{"request": {"prompt": "x"}, "\\udfff": 1}',
    "half a surrogate pair in metadata": b'{"metadata": {"a": "\\ud800"}}',
    "NUL in the prompt": b'{"request": {"prompt": "a\\u0000b"}}',
    "NUL in metadata": b'{"request": {"prompt": "x"}, "metadata": {"a": "\\u0000"}}',
    "NUL in a key of metadata": b'{"request": {"prompt": "x"}, "metadata": {"\\u0000": 1}}',
    "NUL in the callback": b'{"request": {"prompt": "x"}, "callback_url": "http://a/\\u0000"}',
    "a line end in the callback": b'{"request": {"prompt": "x"}, "callback_url": "http://a/\\r\\n"}',
    "arrays in arrays": b'{"request": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects in objects": b'{"metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    "a million empty arrays": b'{"metadata": [' + b"[]," * 1_000_000 + b"[]]}",
    "a million numbers": b'{"metadata": [' + b"1," * 1_000_000 + b"1]}",
    "no request": b'{"priority": 1}',
    "a request that is null": b'{"request": null}',
    "a request that is a list": b'{"request": [1]}',
    "metadata of 5000 bytes": b'{"request": {"prompt": "x"}, "metadata": {"a": "%s"}}'
    % (b"x" * 5000),
    "an image that is none": b'{"request": {"prompt": "x", "init_image": "aGVsbG8="}}',
    "a script for an address": b'{"request": {"prompt": "x"}, "callback_url": "javascript:1"}',
}


def test_a_body_that_means_nothing_good_is_refused_and_nothing_is_kept(
    one_gateway: Gateway,
) -> None:
    """400 where it cannot be read, 422 where it breaks rules; the document says which."""
    for name, body in BODIES.items():
        answer = one_gateway.post("/v1/jobs", data=body, headers=JSON)
        assert answer.status_code in {400, 422}, f"{name}: {answer.text}"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert one_gateway.count_jobs() == 0


def test_a_body_over_the_limit_is_refused_before_it_is_read(one_gateway: Gateway) -> None:
    """By its announced length, at once."""
    headers = {**JSON, "Content-Length": "9" * 15}
    answer = raw(one_gateway, "POST", "/v1/jobs", headers, b"{")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_announces_nothing_is_refused_where_it_passes_the_limit(
    one_gateway: Gateway,
) -> None:
    """Chunked, so only its bytes tell."""
    chunk = b" " * 1_000_000
    try:
        answer = one_gateway.post("/v1/jobs", data=(chunk for _ in range(40)), headers=JSON)
    except requests.ConnectionError:
        return  # the gateway hung up while we were still sending: refused as well
    assert answer.status_code == 413


def test_a_prompt_of_10_mb_is_refused(one_gateway: Gateway) -> None:
    """Room for an initial image is not room for text."""
    body = json.dumps({"request": {"prompt": "fox " * 2_500_000}}).encode()
    answer = one_gateway.post("/v1/jobs", data=body, headers=JSON)
    assert answer.status_code == 413
    assert "init_image" in answer.json()["detail"]
    assert one_gateway.count_jobs() == 0


def test_a_gzipped_job_is_a_job(gateway: Gateway) -> None:
    """In one member, or in several."""
    for body in (gzip.compress(FOX), gzip.compress(FOX[:9]) + gzip.compress(FOX[9:])):
        assert gateway.post("/v1/jobs", data=body, headers=GZIP).status_code == 202


def packed() -> dict[str, tuple[bytes, int]]:
    """Bodies said to be gzip, and their answers; made here, as the bomb takes a while to pack."""
    return {
        "a bomb": (gzip.compress(b" " * 64_000_000), 413),
        "twice": (gzip.compress(gzip.compress(FOX)), 400),
        "cut short": (gzip.compress(FOX)[:-4], 400),
        "a tail": (gzip.compress(FOX) + b"and more", 400),
        "not at all": (FOX, 400),
        "zlib": (zlib.compress(FOX), 400),
        "nothing": (b"", 400),
        "nothing, five thousand times": (gzip.compress(b"") * 5000 + gzip.compress(FOX), 400),
    }


def test_a_gzip_that_is_large_or_damaged_is_refused(one_gateway: Gateway) -> None:
    """A bomb is let off a step at a time, and never held whole."""
    for name, (body, status) in packed().items():
        answer = one_gateway.post("/v1/jobs", data=body, headers=GZIP)
        assert answer.status_code == status, f"{name}: {answer.text}"
    assert one_gateway.count_jobs() == 0


def test_another_coding_is_not_guessed_at(one_gateway: Gateway) -> None:
    """415 instead of a body that is read as something else."""
    for coding in ("br", "gzip, gzip", "deflate"):
        headers = {**JSON, "Content-Encoding": coding}
        assert one_gateway.post("/v1/jobs", data=FOX, headers=headers).status_code == 415


PATHS = (
    "/v1/jobs/17",
    "/v1/jobs/..%2f..%2fetc%2fpasswd",
    "/v1/jobs/%2e%2e/%2e%2e/etc/passwd",
    "/v1/jobs/%00",
    "/v1/jobs/%ff%fe",
    "/v1/jobs/" + "a" * 5000,
    "/v1/jobs/{0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10}",
    "/v1/jobs/0197a0c27d1e7b1c9d590d6c3a1f2b10",
    "/v1/jobs/urn:uuid:0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10",
    "/v1/jobs/0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10%0d%0aX-Evil:%201",
    "/v1/jobs/0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10/images/../..",
    "/v1/jobs//",
    "//v1/jobs",
)


def test_an_id_that_is_none_is_not_found(one_gateway: Gateway) -> None:
    """Whatever trick it tries."""
    for method, path in itertools.product(("GET", "POST"), PATHS):
        answer = raw(one_gateway, method, path, {"Content-Length": "0"})
        status = int(answer.split()[1])
        assert status in {404, 405}, answer
        assert b"X-Evil: 1\r\n" not in answer


def test_a_picture_number_that_is_none_is_a_fault(one_gateway: Gateway) -> None:
    """Not a picture counted from the end."""
    job_id = one_gateway.submit()
    one_gateway.succeed(job_id)
    for n in ("-1", "x", "1e3", "99999999999999999999", "%00"):
        assert one_gateway.get(f"/v1/jobs/{job_id}/images/{n}").status_code == 422


def test_a_key_that_nobody_could_repeat_is_refused(one_gateway: Gateway) -> None:
    """Empty, too long, or with control characters; the answer names the header."""
    for key in ("", "k" * 256, "caf\u00e9\u0085", "a\tb"):
        headers = {**JSON, "Idempotency-Key": key.encode("latin-1")}
        answer = one_gateway.post("/v1/jobs", data=FOX, headers=headers)
        assert answer.status_code == 422, answer.text
        assert {fault["field"] for fault in answer.json()["faults"]} == {"Idempotency-Key"}


def test_a_preference_that_cannot_be_met_is_passed_over(one_gateway: Gateway) -> None:
    """As RFC 7240 wants it."""
    for prefer in ("wait", "wait=", "wait=-1", "wait=x", "wait=0", "=;,", "\xe9"):
        headers = {**JSON, "Prefer": prefer.encode("latin-1")}
        answer = one_gateway.post("/v1/jobs", data=FOX, headers=headers)
        assert (answer.status_code, answer.headers.get("Preference-Applied")) == (202, None)


HOSTS = ("[", "[::1", "a:b", ":", "", "\xff", "127.0.0.1:x", "localhost:99999999", "[::1]:8080")


def test_a_host_that_is_none_is_no_bug(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str
) -> None:
    """A gateway without keys looks at it, and serves only names of its own machine."""
    wiring = start(migrated_sqlite_url)
    with serving(wiring.gateway) as url:
        gateway = Gateway(url, wiring.services, {})
        answers = {}
        for host in HOSTS:
            with connected(gateway) as line:
                head = f"GET /v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                line.sendall(head.encode("latin-1"))
                answers[host] = rest_of(line)[:12]
    wiring.database.close()
    assert answers.pop("[::1]:8080") == b"HTTP/1.1 200"
    assert {answer[-3:] for answer in answers.values()} <= {b"200", b"400", b"403"}, answers


HEADS = (
    b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
    b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HELLO\r\n\r\n",
)


def test_what_is_no_http_gets_no_500(one_gateway: Gateway) -> None:
    """400 or a closed line, and the next client is served."""
    for head in HEADS:
        with connected(one_gateway) as line:
            line.sendall(head)
            line.shutdown(socket.SHUT_WR)
            answer = line.recv(100)
        assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403")), answer
    assert one_gateway.get("/healthz").status_code == 200


def test_a_client_that_sends_nothing_is_hung_up_on(
    one_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither silence nor half a head holds a connection for long."""
    monkeypatch.setattr(PatientOnlySoLong, "head_s", 0.3)
    for said in (b"", b"GET /healthz HTTP/1.1\r\nHost:"):
        with connected(one_gateway) as line:
            line.sendall(said)
            assert line.recv(100) == b""


@pytest.fixture
def overrides() -> dict[str, object]:
    """A body has little time, as far as a test is concerned."""
    return {"gateway_body_timeout_s": 1.0}


def test_a_body_that_trickles_is_given_up(one_gateway: Gateway) -> None:
    """408, nothing kept, and the line closed."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 38\r\n\r\n"
    with connected(one_gateway) as line:
        line.sendall(head + FOX[:20])
        answer = line.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert rest_of(line) is not None
    assert one_gateway.count_jobs() == 0


def test_a_client_that_hangs_up_in_its_body_leaves_nothing(
    one_gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """And no traceback."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 38\r\n\r\n"
    with caplog.at_level(logging.INFO), connected(one_gateway) as line:
        line.sendall(head + FOX[:20])
    time.sleep(0.3)
    assert one_gateway.get("/healthz").status_code == 200
    assert one_gateway.count_jobs() == 0
    assert "bug" not in caplog.text


def test_neither_log_nor_answer_repeats_what_is_secret(
    one_gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Prompts, keys, images and signed links stay out of the log; a refused image is not echoed."""
    with caplog.at_level(logging.DEBUG, "gateway"):
        job_id = one_gateway.submit("a secret prompt")
        one_gateway.succeed(job_id)
        link = one_gateway.get(f"/v1/jobs/{job_id}/images/0").headers["Location"]
        body = {"request": {"prompt": "a secret prompt", "init_image": "c2VjcmV0" * 100}}
        key = {"Authorization": "Bearer drk_secret"}
        refused = one_gateway.post("/v1/jobs", json=body, headers=key)
        one_gateway.get("/v1/jobs?cursor=secret", headers=key)
    assert "X-Amz-Signature" in link
    for secret in ("secret", "X-Amz", "c2VjcmV0"):
        assert secret not in caplog.text
    assert "c2VjcmV0" * 3 not in refused.text


def connected(gateway: Gateway) -> socket.socket:
    """A bare connection."""
    address = urlsplit(gateway.url)
    return socket.create_connection((address.hostname, address.port), timeout=WITHIN_S)


def rest_of(line: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    while part := line.recv(65536):
        parts.append(part)
    return b"".join(parts)


def raw(
    gateway: Gateway, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> bytes:
    """A request that no library has put in order."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with connected(gateway) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return rest_of(line)

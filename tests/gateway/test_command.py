"""`darkroom gateway` as a process: where it listens, whom it refuses, how it stops."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from storage.db.database import Database
from storage.owners.api_keys import create_key
from tests.darkroom.cli.conftest import CommandLine, Started, plain_environment
from tests.gateway.running import WITHIN_S
from tests.services import S3Endpoint
from tests.waiting import wait_until

FOX = {"request": {"prompt": "a very secret fox"}}


@pytest.fixture
def environment(migrated_sqlite_url: str, redis_url: str, s3: S3Endpoint) -> dict[str, str]:
    """A whole installation without keys."""
    return plain_environment() | {
        "DARKROOM_DATABASE_URL": migrated_sqlite_url,
        "DARKROOM_BROKER_URL": redis_url,
        "DARKROOM_S3_BUCKET": s3.bucket,
        "DARKROOM_S3_ENDPOINT_URL": s3.endpoint_url,
        "DARKROOM_GATEWAY_PORT": "0",
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
    }


@pytest.fixture
def run(tmp_path: Path, environment: Mapping[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "darkroom", "gateway", *arguments],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@contextmanager
def stopped(process: subprocess.Popen[str], said: list[str]) -> Iterator[str]:
    """Yield a gateway's address; then have it stop. `said` collects what it wrote."""
    assert process.stderr is not None
    try:
        for line in process.stderr:
            said.append(line)
            found = re.search(r"listening on (http://\S+)", line)
            if found:
                yield found[1]
                break
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=WITHIN_S)
        said.append(rest)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def darkroom(tmp_path: Path, environment: dict[str, str]) -> CommandLine:
    """The command line, from a process that has loaded most of our libraries already."""
    return CommandLine(tmp_path, environment)


@contextmanager
def serving(started: Started) -> Iterator[str]:
    """Yield a gateway's address; at the end the gateway gets SIGTERM, and stops."""

    def address() -> str | None:
        found = re.search(r"listening on (http://\S+)\n", started.said)
        return found and found[1]

    try:
        yield wait_until(address)
        started.process.signal(signal.SIGTERM)
        assert started.process.wait(WITHIN_S) in {0, -signal.SIGTERM}, started.said
    finally:
        started.process.kill()


def test_a_gateway_without_keys_serves_its_own_machine_and_says_so(
    run: Callable[..., subprocess.Popen[str]],
) -> None:
    """A job goes in; SIGTERM ends the process at once; the log tells paths and no prompt.

    No web page may use it: any page in a browser on this machine could send jobs, or read them by
    a name of its own. And its address is taken: a second one says so in one line.
    """
    said: list[str] = []
    process = run()
    with stopped(process, said) as url:
        second = run("--port", url.rpartition(":")[2])
        page = {"Origin": "https://evil.example"}
        sent = requests.post(f"{url}/v1/jobs", json=FOX, headers=page, timeout=WITHIN_S)
        named = {"Host": "evil.example"}
        read = requests.get(f"{url}/v1/jobs", headers=named, timeout=WITHIN_S)
        assert (sent.status_code, read.status_code) == (403, 403)
        answer = requests.post(f"{url}/v1/jobs?", json=FOX, timeout=WITHIN_S)
        assert answer.status_code == 202
        listed = requests.get(f"{url}/v1/jobs?code=A_SECRET_CODE", timeout=WITHIN_S)
        assert len(listed.json()["jobs"]) == 0
        requests.get(f"{url}/v1/jobs/%0Afake%20line", timeout=WITHIN_S)
        _, complaint = second.communicate(timeout=WITHIN_S)
        assert second.returncode == 1
        assert "DARKROOM_GATEWAY_PORT" in complaint
        assert "Traceback" not in complaint
    text = "".join(said)
    assert "no API key exists" in text
    assert "POST /v1/jobs 202" in text
    assert "GET /v1/jobs/%0Afake%20line 404" in text
    assert "secret" not in text.lower()
    assert "Traceback" not in text
    assert process.returncode in {0, -signal.SIGTERM}


def test_a_gateway_told_to_stop_lets_its_streams_go(darkroom: CommandLine) -> None:
    """No caller's open event stream holds up a deploy."""
    with serving(darkroom.start("gateway")) as url:
        job = requests.post(f"{url}/v1/jobs", json=FOX, timeout=WITHIN_S).json()
        stream = requests.get(f"{url}/v1/jobs/{job['id']}/events", stream=True, timeout=WITHIN_S)
        lines = stream.iter_lines()
        assert next(lines).startswith(b"retry")
    assert not [line for line in lines if b"ended" in line and b"true" in line]


def test_another_address_is_refused_in_one_line_while_there_is_no_key(
    darkroom: CommandLine,
) -> None:
    """No operator's bill is open to a network by accident."""
    ran = darkroom("gateway", "--host", "0.0.0.0")  # noqa: S104 - it is refused
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert "darkroom keys create" in ran.err


def test_with_a_key_nobody_is_served_without_it(
    darkroom: CommandLine, migrated_sqlite_url: str
) -> None:
    """On its own machine neither."""
    database = Database(migrated_sqlite_url)
    secret = create_key(database, owner="shop", scopes=["submit", "read"]).secret
    database.close()
    with serving(darkroom.start("gateway")) as url:
        refused = requests.post(f"{url}/v1/jobs", json=FOX, timeout=WITHIN_S)
        key = {"Authorization": f"Bearer {secret}"}
        served = requests.post(f"{url}/v1/jobs", json=FOX, headers=key, timeout=WITHIN_S)
    assert (refused.status_code, served.status_code) == (401, 202)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert served.json()["owner"] == "shop"

"""`docs/client.md`: its lines do what the page says."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import darkroom_client
from darkroom_client.testing import FakeDarkroom, sign
from tests.client.environments import run
from tests.client.test_webhooks import SECRET
from tests.docs.conftest import blocks
from tests.gateway.running import Gateway

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
PYTHON = blocks(PAGE, "python")


@pytest.mark.parametrize("snippet", PYTHON, ids=range(len(PYTHON)))
def test_every_python_snippet_compiles(snippet: str) -> None:
    """Django's as well, which is not installed here."""
    compile(snippet, "docs/client.md", "exec")


def test_the_snippets_run_one_after_another(
    darkroom: FakeDarkroom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a reader would type them, with the fake in the gateway's place."""
    monkeypatch.setattr(darkroom_client, "Client", lambda *_: darkroom)
    monkeypatch.chdir(tmp_path)
    Path("sketch.png").write_bytes(b"\x89PNG")
    names: dict[str, Any] = {}
    for snippet in PYTHON:
        if "django" not in snippet and "import pytest" not in snippet:
            exec(compile(snippet, "docs/client.md", "exec"), names)  # noqa: S102 - our own page
    assert Path("fox.png").read_bytes().startswith(b"\x89PNG")
    assert len(darkroom.jobs) == 1002
    printed = capsys.readouterr().out
    assert "card-999 succeeded" in printed
    assert "width 1000" in printed
    body = b'{"type": "job.ended"}'
    assert names["receive"](sign(body, SECRET), body, SECRET) == 204
    assert names["receive"](sign(body, SECRET), body + b" ", SECRET) == 401


def test_the_five_lines_are_five() -> None:
    """The first thing on the page."""
    assert len([line for line in PYTHON[0].splitlines() if line]) <= 5


def test_the_tests_on_the_page_pass_where_the_package_is_installed(
    python_with_pytest: Path, tmp_path: Path
) -> None:
    """The fixture is found without a word."""
    [snippet] = [snippet for snippet in PYTHON if "import pytest" in snippet]
    (tmp_path / "test_shop.py").write_text(snippet, encoding="utf-8")
    assert "4 passed" in run(str(python_with_pytest), "-m", "pytest", "-q", cwd=tmp_path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_of_curl_hand_in_a_job(one_gateway: Gateway) -> None:
    """As they stand, but for the address and the wait."""
    [script] = [block for block in blocks(PAGE, "sh") if "curl" in block]
    printed = type_in(["sh", "-euc", "KEY=drk_x; " + here(script, one_gateway)])
    assert '"status":"queued"' in printed


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_lines_of_javascript_hand_in_a_job_and_find_its_picture(one_gateway: Gateway) -> None:
    """The second time the key finds the job, which has ended."""
    [script] = blocks(PAGE, "javascript")
    command = ["node", "--input-type=module", "-e", here(script, one_gateway)]
    assert type_in(command).startswith("queued []")
    [job] = one_gateway.get("/v1/jobs").json()["jobs"]
    one_gateway.succeed(job["id"])
    assert type_in(command).startswith("succeeded [")
    assert one_gateway.count_jobs() == 1


def here(script: str, gateway: Gateway) -> str:
    """Return a script pointed at this gateway, which has no worker, with no wait."""
    return script.replace("http://127.0.0.1:8080", gateway.url).replace("wait=60", "wait=0")


def type_in(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

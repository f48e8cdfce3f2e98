"""`docs/http-api.md` says what the gateway does: its routes, its refusals, its lines of curl."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway import errors
from gateway.errors import GatewayError
from gateway.views.batch import BatchView, CountsView
from gateway.views.job import EXAMPLE_JOB
from tests.docs.conftest import blocks
from tests.gateway.running import Gateway, picture

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")

#: Told on the page of webhooks.
ELSEWHERE = ("/v1/hooks", "/v1/webhooks")


def test_every_route_of_jobs_is_on_the_page(one_gateway: Gateway) -> None:
    """With its method, as the OpenAPI document has it."""
    document: Any = one_gateway.get("/openapi.json").json()
    routes = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if not path.startswith(ELSEWHERE)
    }
    assert {route for route in routes if f"`{route}`" not in PAGE} == set()


def test_every_problem_is_in_the_table_with_its_status() -> None:
    """A client's author looks there first."""
    table = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE))
    for name in errors.__all__:
        kind = getattr(errors, name)
        if kind is not GatewayError and kind.__module__ == errors.__name__:
            assert table[kind.slug] == str(kind.status), name
    assert table["idempotency-conflict"] == "409"
    assert table["storage-unavailable"] == "503"
    assert table["row-locked"] == "503"


def test_the_job_on_the_page_has_every_field_of_a_job() -> None:
    """And no other."""
    shown = next(block for block in blocks(PAGE, "json") if '"queue_position"' in block)
    for field in [*EXAMPLE_JOB, *EXAMPLE_JOB["times"], *EXAMPLE_JOB["images"][0]]:
        assert f'"{field}":' in shown, field


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_five_lines_bring_a_picture(one_gateway: Gateway, tmp_path: Path) -> None:
    """As they stand, but for the address and the wait."""
    script = blocks(PAGE, "sh")[0].replace("darkroom gateway &\n", "")
    script = script.replace("http://127.0.0.1:8080", one_gateway.url).replace("wait=60", "wait=0")
    run(script, tmp_path)
    job_id = one_gateway.get("/v1/jobs").json()["jobs"][0]["id"]
    one_gateway.succeed(job_id)
    run(script, tmp_path)
    assert (tmp_path / "fox.png").read_bytes() == picture()
    assert one_gateway.count_jobs() == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_of_a_batch_hand_it_in(one_gateway: Gateway, tmp_path: Path) -> None:
    """As they stand, but for the address; sent twice they are one batch."""
    script = next(block for block in blocks(PAGE, "sh") if "/v1/batches" in block)
    script = "KEY=none\n" + script.replace("http://127.0.0.1:8080", one_gateway.url)
    run(script, tmp_path)
    run(script, tmp_path)
    (batch,) = one_gateway.get("/v1/batches").json()["batches"]
    assert (batch["name"], batch["total"], one_gateway.count_jobs()) == ("night", 2, 2)


def test_the_batch_on_the_page_has_every_field_of_a_batch() -> None:
    """And so has the line of its results."""
    shown = next(block for block in blocks(PAGE, "json") if '"eta_s"' in block)
    fields = {*BatchView.model_fields} - {"faulty_lines", "faults"}
    for field in [*fields, *CountsView.model_fields]:
        assert f'"{field}":' in shown, field


def run(script: str, folder: Path) -> None:
    """Run shell lines."""
    shell = shutil.which("bash") or "/bin/sh"
    subprocess.run([shell, "-eu", "-c", script], cwd=folder, check=True, timeout=60)

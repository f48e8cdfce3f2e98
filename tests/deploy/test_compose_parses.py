"""Third-party Compose parsers accept the file, and would notice if it were wrong."""

import json
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

Parse = Callable[..., "subprocess.CompletedProcess[str]"]

SIMULATED = ("--env-file", "deploy/simulator.env", "--profile", "simulator")


@pytest.fixture(scope="module")
def specification() -> Draft202012Validator:
    """The Compose Specification's own schema, as the wheel of check-jsonschema carries it."""
    package = find_spec("check_jsonschema")
    if package is None or package.origin is None:
        pytest.skip("check-jsonschema, whose wheel carries the Compose schema, is not installed")
    path = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def faults(specification: Draft202012Validator, text: str) -> list[str]:
    """What the schema finds wrong."""
    return [error.message for error in specification.iter_errors(yaml.safe_load(text))]


def test_podman_compose_accepts_the_simulated_stack(parse: Parse, compose_text: str) -> None:
    """Compose as another project implements it reads the file, with the simulator beside it."""
    done = parse(compose_text, *SIMULATED)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {
        "redis", "postgres", "objects", "migrate", "doctor", "worker", "simulator",
    }  # fmt: skip


def test_podman_compose_accepts_the_real_stack(
    parse: Parse, compose_text: str, root: Path, tmp_path: Path
) -> None:
    """Every blank of the example filled in is enough, and no simulator comes with it."""
    example = (root / "deploy" / "real.env.example").read_text(encoding="utf-8")
    filled = tmp_path / "filled.env"
    filled.write_text(example.replace("=\n", "=x\n"), encoding="utf-8")
    done = parse(compose_text, "--env-file", str(filled))
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)
    assert "simulator" not in found["services"]
    assert found["services"]["worker"]["environment"]["DARKROOM_SIMULATED"] == "false"


def test_without_a_key_nothing_starts(parse: Parse, compose_text: str) -> None:
    """No key and no word about the simulator is a mistake, and the line says both ways out."""
    done = parse(compose_text)
    assert done.returncode != 0
    assert "DARKROOM_PLAYGROUND_API_KEY" in done.stderr
    assert "deploy/simulator.env" in done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"spool:/var/', '"spol:/var/'),
        ("*settings", "*setting"),
        ("condition: service_healthy", "condition: service_heathy"),
        ("services:\n", "services:\n  - "),
    ],
)
def test_podman_compose_refuses_a_broken_copy(
    parse: Parse, compose_text: str, right: str, wrong: str
) -> None:
    """Accepting means something: an unknown volume, alias or condition is not accepted."""
    assert right in compose_text
    assert parse(compose_text.replace(right, wrong), *SIMULATED).returncode != 0


def test_the_specification_accepts_the_file(
    specification: Draft202012Validator, compose_text: str
) -> None:
    """Every key and every value's form is one that the Compose Specification knows."""
    assert faults(specification, compose_text) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("healthcheck:", "healthchek:"),
        ("stop_grace_period:", "stop_grace:"),
        ("service_completed_successfully", "service_completed"),
        ("    profiles: [simulator]", "    profiles: simulator"),
        ("      replicas:", "      replica:"),
    ],
)
def test_the_specification_refuses_a_typo(
    specification: Draft202012Validator, compose_text: str, right: str, wrong: str
) -> None:
    """A misspelt key, which podman-compose passes over, is found by the schema."""
    assert right in compose_text
    assert faults(specification, compose_text.replace(right, wrong)) != []


def test_services_wait_for_services_that_exist(composed: dict[str, Any]) -> None:
    """Each service waited for is in the file: podman-compose passes over a name that is not."""
    services = composed["services"]
    waited_for = {name for one in services.values() for name in one.get("depends_on", {})}
    assert waited_for <= services.keys()

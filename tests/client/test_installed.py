"""The distribution, built and installed alone, as other people's projects have it."""

import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

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


def test_the_wheel_holds_one_package_and_says_that_it_is_typed(wheel: Path) -> None:
    """The wheel adds none of the project's own plain top-level names to an environment."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [about] = [name for name in names if name.endswith("METADATA")]
        metadata = archive.read(about).decode()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"darkroom_client", about.partition("/")[0]}
    assert "darkroom_client/py.typed" in names
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: requests>=2.28"
    ]
    assert "Requires-Python: >=3.9" in metadata


def test_it_works_alone_in_an_empty_environment(python: Path, tmp_path: Path) -> None:
    """Its fake as well, and without pytest."""
    words = (
        "import sys, darkroom_client.testing as t;"
        "print(t.FakeDarkroom().submit('a fox').wait().images[0].save('fox.png'));"
        "print(sorted({'pytest', 'tasks', 'storage', 'gateway'} & set(sys.modules)))"
    )
    assert run(str(python), "-c", words, cwd=tmp_path).splitlines() == ["fox.png", "[]"]
    assert (tmp_path / "fox.png").read_bytes().startswith(b"\x89PNG")


def test_a_project_keeps_its_own_tasks_package(python: Path, tmp_path: Path) -> None:
    """Every Celery project has one, and some have a `storage`."""
    for name in ("tasks", "storage"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OURS = False\n", encoding="utf-8")
    words = "import darkroom_client, storage, tasks; print(tasks.OURS, storage.OURS)"
    assert run(str(python), "-c", words, cwd=tmp_path) == "False False\n"


def test_without_such_a_package_there_is_none(python: Path, tmp_path: Path) -> None:
    """We bring none of these names."""
    words = (
        "import importlib.util as u; names = ('tasks', 'storage', 'gateway', 'workers');"
        "print([name for name in names if u.find_spec(name)])"
    )
    assert run(str(python), "-c", words, cwd=tmp_path) == "[]\n"


def test_pytest_finds_the_fixture_by_itself(python_with_pytest: Path, tmp_path: Path) -> None:
    """No import, no conftest, no plugin named."""
    (tmp_path / "test_theirs.py").write_text(
        "def test_it(darkroom):\n"
        "    darkroom.fail_next(code='PROMPT_UNSAFE')\n"
        "    assert darkroom.submit('a fox').error.code == 'PROMPT_UNSAFE'\n",
        encoding="utf-8",
    )
    pytest_run = run(str(python_with_pytest), "-m", "pytest", "-q", "-W", "error", cwd=tmp_path)
    assert "1 passed" in pytest_run

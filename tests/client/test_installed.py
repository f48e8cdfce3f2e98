"""The distribution, built and installed alone, as other people's projects have it."""

import zipfile
from pathlib import Path

from tests.client.environments import run


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

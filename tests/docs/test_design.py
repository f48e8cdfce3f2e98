"""The design page's tables of packages are the packages, in the order of their layers."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
WITH_TABLES = ("storage", "tasks", "gateway", "playground", "darkroom")
WITHOUT_IMPORTS = ("storage", "tasks", "gateway", "playground", "workers")


def rows(package: str) -> list[list[str]]:
    """The modules that each row of a package's table names."""
    table = DESIGN.partition(f"| in `{package}/` | holds |\n|---|---|\n")[2].partition("\n\n")[0]
    firsts = [line.split(" | ")[0] for line in table.splitlines()]
    return [
        [re.split(r"[/.]", name)[0] for name in re.findall("`([^`]+)`", each)] for each in firsts
    ]


def layers(package: str) -> dict[str, int]:
    """The layer of each module of a package, the highest one first, as the contracts have it."""
    [found] = [each for each in CONTRACTS["contracts"] if each.get("containers") == [package]]
    return {
        module: number
        for number, layer in enumerate(found["layers"])
        for module in layer.split(" | ")
    }


@pytest.mark.parametrize("package", WITH_TABLES)
def test_every_sub_package_is_in_the_table(package: str) -> None:
    """A reader finds a folder's purpose on the page."""
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders
    assert folders - {module for row in rows(package) for module in row} == set()


@pytest.mark.parametrize("package", WITH_TABLES)
def test_a_table_goes_from_the_highest_layer_down(package: str) -> None:
    """As the sentence above the tables says."""
    order = layers(package)
    highest = [min(order[module] for module in row) for row in rows(package)]
    assert highest == sorted(highest)


@pytest.mark.parametrize("package", WITHOUT_IMPORTS)
def test_no_init_imports_anything(package: str) -> None:
    """So a command loads only what it uses."""
    paths = sorted((ROOT / package).rglob("__init__.py"))
    assert paths
    importing = [
        str(path.relative_to(ROOT))
        for path in paths
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert importing == []

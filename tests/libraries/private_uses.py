"""Find where the product's code uses private attributes of objects that are not its own."""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.libraries.changes import names_set_in

__all__ = ["PACKAGES", "ROOT", "Use", "uses_in", "uses_in_source"]

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    "http1", "storage", "tasks", "playground", "workers", "gateway", "darkroom", "simulator",
)  # fmt: skip
#: Public in spite of their underscore: Python documents them, and SQLAlchemy a row's `_mapping`.
DOCUMENTED: Final = {"_asdict", "_exit", "_fields", "_make", "_mapping", "_replace"}
OWNER: Final = {"self", "cls"}


@dataclass(frozen=True, order=True)
class Use:
    """One use: its file, its line, and the attribute's name."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} uses {self.name}"


@cache
def uses_in(package: str, folder: Path = ROOT) -> list[Use]:
    """Every use in a package, migration steps left out: they are loaded by path."""
    found: list[Use] = []
    for path in sorted((folder / package).rglob("*.py")):
        inside = path.relative_to(folder)
        if "versions" in inside.parts:
            continue
        module = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
        found += uses_in_source(path.read_text("utf-8"), str(inside), module)
    return found


def uses_in_source(source: str, file: str, module: str) -> list[Use]:
    """Every use in a module; what a class inherits is looked up in the module once imported."""
    tree = ast.parse(source)
    found = [Use(file, line, name) for line, name in _of_others(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found += [Use(file, line, name) for line, name in _inherited(node, module)]
    return sorted(set(found))


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore and is not documented all the same."""
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def _of_others(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Attributes of anything but `self` and `cls`, by name or as a string; private imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name)) if name in OWNER:
                pass
            case ast.Attribute(attr=attr) if is_private(attr):
                yield node.lineno, attr
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"),
                args=[_, ast.Constant(value=str(attr)), *_],
            ) if is_private(attr):
                yield node.lineno, attr
            case ast.ImportFrom(module=str(source), names=names) if not _is_own(source):
                yield from ((node.lineno, alias.name) for alias in names if is_private(alias.name))


def _inherited(node: ast.ClassDef, module: str) -> Iterator[tuple[int, str]]:
    """What a class extends, or uses through `self`, of a base class from a library."""
    made = getattr(importlib.import_module(module), node.name, None)
    if not inspect.isclass(made):
        return
    own = [one for one in made.__mro__ if _is_own(one.__module__)]
    foreign = [one for one in made.__mro__ if _is_library(one.__module__)]
    if not foreign:
        return
    known = {name for one in foreign for name in vars(one)}
    set_here = {name for one in own for name in {*vars(one), *names_set_in(one)}}
    for part in ast.walk(node):
        match part:
            case ast.FunctionDef(name=name) if is_private(name) and name in known:
                yield part.lineno, name
            case ast.Attribute(value=ast.Name(id=who), attr=name) if who in OWNER:
                if is_private(name) and (name in known or name not in set_here):
                    yield part.lineno, name


def _is_own(module: str) -> bool:
    return module.partition(".")[0] in {*PACKAGES, "darkroom_client"}


def _is_library(module: str) -> bool:
    """A library's, or the one module of Python's own whose private parts are used."""
    top = module.partition(".")[0]
    return not _is_own(module) and (top == "http" or top not in sys.stdlib_module_names)

"""Compare a list of private attributes with the installed libraries."""

import ast
import importlib
import inspect
import platform
import textwrap
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions, version

__all__ = ["changes", "names_set_in", "release_of"]


def changes(listed: Mapping[str, str | None]) -> Sequence[str]:
    """A sentence for each attribute that is not as listed, with the release of its library."""
    found = [(path, _change(path, parameters)) for path, parameters in listed.items()]
    return [f"{release_of(path)}: {path} {change}" for path, change in found if change]


def release_of(path: str) -> str:
    """The library of an attribute and its installed version."""
    top = path.partition(":")[0].partition(".")[0]
    names = packages_distributions().get(top)
    return f"{names[0]} {version(names[0])}" if names else f"Python {platform.python_version()}"


def _change(path: str, parameters: str | None) -> str:
    module, _, rest = path.partition(":")
    class_name, _, name = rest.partition(".")
    try:
        owner = getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError):
        return f"does not exist: there is no {module}.{class_name}"
    if not hasattr(owner, name) and not _is_set_by(owner, name):
        return "does not exist"
    method = getattr(owner, name, None)
    if not inspect.isfunction(method):
        return "" if parameters is None else f"is not a method with parameters ({parameters})"
    present = ", ".join(inspect.signature(method).parameters)
    if parameters is None:
        return f"is a method now, with parameters ({present})"
    return "" if present == parameters else f"has parameters ({present}), not ({parameters})"


def _is_set_by(owner: type, name: str) -> bool:
    """Whether a method of the class, or of a base class, sets an attribute of this name."""
    return any(name in names_set_in(one) for one in owner.__mro__ if one is not object)


def names_set_in(owner: type) -> set[str]:
    """The attributes that the methods of a class set, base classes left out."""
    try:
        source = inspect.getsource(owner)
    except (OSError, TypeError):  # written in C, or made while the process runs
        return set()
    tree = ast.parse(textwrap.dedent(source))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }

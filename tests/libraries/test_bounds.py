"""Libraries whose private attributes are used are bounded, and the locks keep every bound."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.libraries.test_private_attributes import LISTED

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)", re.MULTILINE)


def required() -> dict[str, Requirement]:
    """What the project asks for, extras left out."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found = map(Requirement, project["project"]["dependencies"])
    return {requirement.name: requirement for requirement in found}


def pinned(lock: str) -> dict[str, Version]:
    """The versions that a lock file pins."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8")
    return {name: Version(number) for name, number in PIN.findall(text)}


def test_a_library_with_private_uses_is_bounded_at_its_next_minor_release() -> None:
    """Such a release is taken in only after the list of private attributes was held against it."""
    tops = {path.partition(":")[0].partition(".")[0] for path in LISTED.values()} - {"http"}
    names = {packages_distributions()[top][0] for top in tops}
    assert {"urllib3", "botocore", "kombu"} <= names
    for name in names:
        present = pinned("run")[name]
        coming = f"{present.major}.{present.minor + 1}.0"
        assert name in required(), f"{name} has private uses and no bound"
        assert not required()[name].specifier.contains(coming), f"{name} may become {coming}"


@pytest.mark.parametrize("lock", ["run", "local", "dev"])
def test_the_locks_keep_the_bounds(lock: str) -> None:
    """What is installed from a lock file is what the project asks for."""
    pins = pinned(lock)
    for name, requirement in required().items():
        assert requirement.specifier.contains(pins[name]), f"{lock}.lock has {name} {pins[name]}"

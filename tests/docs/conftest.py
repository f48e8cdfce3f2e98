"""The pages, and a results table to try their SQL on."""

import re
from pathlib import Path

import pytest

from tests.storage.conftest import db, table

__all__ = ["db", "table"]

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """A page's fenced blocks of one language, without their indent."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    return [
        "\n".join(line.removeprefix(indent) for line in body.splitlines()) for indent, body in found
    ]


@pytest.fixture(scope="session")
def operations() -> str:
    """The operator's page."""
    return (DOCS / "operations.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def reliability() -> str:
    """The page of promises."""
    return (DOCS / "reliability.md").read_text(encoding="utf-8")

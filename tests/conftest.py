"""What every test gets: no `DARKROOM_*` variables, no sockets unless it asks for a real service."""

import os

import pytest

pytest_plugins = ["tests.services"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not reach a test."""
    for name in list(os.environ):
        if name.startswith(("DARKROOM_", "AWS_")):
            monkeypatch.delenv(name)

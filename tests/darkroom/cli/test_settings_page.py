"""`docs/settings.md` says what the settings say."""

from pathlib import Path

import pytest

from darkroom.settings import Settings, variable
from darkroom.settings.page import GROUPS, settings_page

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_committed_page_is_the_one_that_is_made() -> None:
    """After a change of a setting: `python -m darkroom.settings.page > docs/settings.md`."""
    assert PAGE.read_text(encoding="utf-8") == settings_page()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    """A sentence of its own, and a line on the page."""
    description = Settings.model_fields[name].description or ""
    assert description.endswith(".")
    assert f"`{variable(name)}`" in settings_page()


def test_every_secret_is_marked_and_can_come_from_a_file() -> None:
    """Key, broker and database address: what may hold a password."""
    lines = [line for line in settings_page().splitlines() if "*secret*" in line and "|" in line]
    named = {line.split("`")[1] for line in lines}
    assert named == {
        "DARKROOM_PLAYGROUND_API_KEY",
        "DARKROOM_PLAYGROUND_PROXY_URL",
        "DARKROOM_BROKER_URL",
        "DARKROOM_WEBHOOK_SECRET",
        "DARKROOM_REDIS_URL",
        "DARKROOM_DATABASE_URL",
    }
    assert all("_FILE`" in line for line in lines)


def test_every_group_begins_with_a_setting_there_is() -> None:
    """A setting that was renamed takes its heading along."""
    assert set(GROUPS) <= set(Settings.model_fields)
    assert next(iter(Settings.model_fields)) in GROUPS

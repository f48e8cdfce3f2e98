"""Is every `DARKROOM_*` variable one that this version reads? A misspelt one does nothing."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.settings import misspelt
from darkroom.wiring.factory import Wiring

__all__ = ["check_names"]


def check_names(wiring: Wiring) -> Iterator[Finding]:
    """One warning for each variable that nobody reads."""
    strangers = misspelt()
    for sentence in strangers:
        yield Finding("settings", Level.WARN, sentence)
    if not strangers:
        number = len(wiring.settings.model_fields_set)
        yield Finding("settings", Level.OK, f"valid; {number} set, the others at their defaults")

"""Check that this version reads every `DARKROOM_*` variable. A misspelt one has no effect."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.settings import misspelt
from darkroom.wiring.factory import Wiring

__all__ = ["check_names"]


def check_names(wiring: Wiring) -> Iterator[Finding]:
    """Yield one warning for each variable that is not a setting."""
    strangers = misspelt()
    for sentence in strangers:
        yield Finding("settings", Level.WARN, sentence)
    if not strangers:
        number = len(wiring.settings.model_fields_set)
        yield Finding("settings", Level.OK, f"valid; {number} set, the others at their defaults")

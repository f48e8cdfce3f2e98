"""Find variables that look like settings but are not: a misspelt name has no effect.

They are not treated as faults, because another release may read them. `darkroom doctor` reports
them.
"""

import difflib
import os

from darkroom.settings.model import Settings
from darkroom.settings.secret_files import is_secret
from darkroom.settings.variable import PREFIX, variable

__all__ = ["misspelt"]


def misspelt() -> list[str]:
    """Return a sentence for each `DARKROOM_*` variable that is not a setting of this version."""
    known = {variable(name): field for name, field in Settings.model_fields.items()}
    files = {f"{name}_FILE" for name, field in known.items() if is_secret(field)}
    strangers = sorted(
        name for name in os.environ if name.startswith(PREFIX) and name not in known.keys() | files
    )
    return [_guess(name, [*known, *files]) for name in strangers]


def _guess(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{name} is not a setting of this version{hint}"

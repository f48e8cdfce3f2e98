"""All settings of Darkroom, read once and validated as a whole.

Only this package reads the environment. It passes one frozen object to `darkroom/wiring/`. All
other packages take plain values and never see the settings.
"""

from darkroom.settings.environment import environment
from darkroom.settings.load import load_settings
from darkroom.settings.misspelt import misspelt
from darkroom.settings.model import REAL_API_URL, Settings
from darkroom.settings.variable import PREFIX, variable

__all__ = [
    "PREFIX",
    "REAL_API_URL",
    "Settings",
    "environment",
    "load_settings",
    "misspelt",
    "variable",
]

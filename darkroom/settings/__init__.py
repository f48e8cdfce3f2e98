"""Every setting of Darkroom, read once and checked as a whole.

This is the only place that reads the environment. One frozen object goes from here to the wiring;
every other room takes plain values.
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

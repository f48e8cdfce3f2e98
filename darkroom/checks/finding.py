"""The result of one check: its subject, its level, the text and the advice."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level"]


class Level(StrEnum):
    """How severe a finding is."""

    OK = "ok"
    WARN = "warn"  # works, but the operator should know about it
    BAD = "bad"  # does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check.

    Attributes:
        about: the part of the installation, in a word.
        level: how severe it is.
        text: what was found. A fault names the setting and the address, never a secret.
        advice: what to do, or an empty text.
        stops_worker: whether a worker must not start with it. A temporary outage elsewhere does not
            stop one.
    """

    about: str
    level: Level
    text: str
    advice: str = ""
    stops_worker: bool = True

    @property
    def line(self) -> str:
        """Return text and advice in one line."""
        return f"{self.text}; {self.advice}" if self.advice else self.text

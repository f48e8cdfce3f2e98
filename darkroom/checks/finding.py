"""What one check says: fine, doubtful or broken, about what, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level"]


class Level(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARN = "warn"  # it works, but somebody should know
    BAD = "bad"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: the part of the installation, in a word.
        level: how grave it is.
        text: what was found; names the setting and the address where it is bad, never a secret.
        advice: what to do, or nothing.
        stops_worker: whether a worker must not start with it. An outage elsewhere that ends by
            itself does not stop one.
    """

    about: str
    level: Level
    text: str
    advice: str = ""
    stops_worker: bool = True

    @property
    def line(self) -> str:
        """Text and advice in one line."""
        return f"{self.text}; {self.advice}" if self.advice else self.text

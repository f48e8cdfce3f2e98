"""What the demo shows of a job: plain values, so that sheet and gallery need no database."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Made", "Refused"]


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that was made, stored, downloaded again and compared.

    Attributes:
        name: the line's own key, or a number.
        prompt: the prompt.
        model: the requested model.
        look: the prompt filter, or nothing.
        seed: the seed that was sent.
        width: pixels.
        height: pixels.
        size_bytes: of the PNG.
        sha256: of the PNG, in hex.
        object_key: its key in the bucket.
        seconds: from the call to the stored picture.
        file: the copy on this machine.
    """

    name: str
    prompt: str
    model: str
    look: str
    seed: int
    width: int
    height: int
    size_bytes: int
    sha256: str
    object_key: str
    seconds: float
    file: Path


@dataclass(frozen=True, slots=True)
class Refused:
    """A prompt that was refused, as intended.

    Attributes:
        name: the line's own key.
        prompt: the prompt.
        where: the part that refused it.
        reason: why, in that part's words.
    """

    name: str
    prompt: str
    where: str
    reason: str

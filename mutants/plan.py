"""Read what to mutate, which tests are nearest to it, and which mutants change nothing."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Equivalent", "Plan", "changed_lines"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A mutant that no test can notice, and why.

    Attributes:
        file: the file it is in.
        before: the changed lines, stripped and joined by a space.
        after: what they are changed to.
        reason: why the behaviour is the same.
    """

    file: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The lists that a run uses.

    Attributes:
        nearest: for each file, its nearest tests.
        equivalents: mutants that are left out.
    """

    nearest: Mapping[str, Sequence[str]]
    equivalents: Sequence[Equivalent]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> "Plan":
        """Read both lists.

        Raises:
            ValueError: an equivalent mutant has no reason.
        """
        nearest = tomllib.loads((folder / "nearest.toml").read_text(encoding="utf-8"))
        listed = tomllib.loads((folder / "equivalent.toml").read_text(encoding="utf-8"))
        equivalents = [Equivalent(**entry) for entry in listed.get("mutant", [])]
        if bare := [one.file for one in equivalents if not one.reason.strip()]:
            raise ValueError(f"an equivalent mutant without a reason in {', '.join(bare)}")
        return cls(nearest=nearest, equivalents=equivalents)

    def why_left_out(self, file: str, before: str, after: str) -> str | None:
        """Return why this mutant is equivalent, or None if it is to be tried."""
        for one in self.equivalents:
            if (one.file, one.before, one.after) == (file, before, after):
                return one.reason
        return None


def changed_lines(source: str, mutated: str) -> tuple[str, str]:
    """Return the lines that differ, before and after, each stripped and joined by a space.

    So a listed mutant is found again after the lines around it have moved.
    """
    before, after = source.splitlines(), mutated.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return _joined(before), _joined(after)


def _joined(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines)

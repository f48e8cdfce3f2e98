"""Count the charged calls by prompt and seed: the evidence that nothing is paid for twice.

With a file, every charge is one JSON line appended as it happens, and a restarted simulator
continues with it. The app decides what is charged, this file does not.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Ledger", "LedgerFilter"]


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which charged calls to show; None lets everything through."""

    prompt: str | None = None
    contains: str | None = None
    seed: int | None = None
    over: int = 0

    def admits(self, prompt: str, seed: int | None, count: int) -> bool:
        """Return whether calls with this prompt and seed are included."""
        return (
            (self.prompt is None or prompt == self.prompt)
            and (self.contains is None or self.contains in prompt)
            and (self.seed is None or seed == self.seed)
            and count > self.over
        )


@dataclass(slots=True)
class Ledger:
    """The charged calls; used from the event loop's thread alone."""

    path: Path | None = None
    _counts: Counter[tuple[str, int | None]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            self._load(self.path)

    def _load(self, path: Path) -> None:
        text = path.read_text("utf-8")
        for line in text.splitlines():
            try:
                prompt, seed = json.loads(line)
            except ValueError:
                continue  # a line cut short by a kill: that charge was never answered
            self._counts[prompt, seed] += 1
        if text and not text.endswith("\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def charge(self, prompt: str, seed: int | None) -> None:
        """Record one charged call; `seed` is None if the caller chose none."""
        self._counts[prompt, seed] += 1
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([prompt, seed]) + "\n")

    def reset(self) -> None:
        """Delete every charge, on disk as well."""
        self._counts.clear()
        if self.path is not None:
            self.path.write_text("", "utf-8")

    @property
    def total(self) -> int:
        """Count all charged calls."""
        return self._counts.total()

    def report(self, selection: LedgerFilter) -> dict[str, Any]:
        """Summarise the charged calls that a filter admits, as plain JSON values."""
        calls = [
            {"prompt": prompt, "seed": seed, "count": count}
            for (prompt, seed), count in self._counts.items()
            if selection.admits(prompt, seed, count)
        ]
        return {
            "total": sum(int(str(call["count"])) for call in calls),
            "distinct": len(calls),
            "calls": calls,
        }

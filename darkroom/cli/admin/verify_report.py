"""Collect and print what `darkroom verify` has found so far."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from darkroom.cli.common.output import echo, note, print_json

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from datetime import datetime

    from tasks.verify.difference import Difference
    from tasks.verify.resume import ResumePoint
    from tasks.verify.step import VerifyStep

__all__ = ["Report"]


@dataclass(slots=True)
class Report:
    """The findings so far.

    Attributes:
        as_json: whether to print one JSON document at the end, and no lines before.
        objects: how many were checked.
        differences: all that were found.
        unreadable: rows that this release cannot read.
        is_complete: whether everything was compared.
        next: where the next run continues, if this one is stopped.
        reached_at: up to when the compared rows were accepted.
        retried: jobs that were queued again.
    """

    as_json: bool
    objects: int = 0
    differences: "list[Difference]" = field(default_factory=list)
    unreadable: int = 0
    is_complete: bool = False
    next: "ResumePoint | None" = None
    reached_at: "datetime | None" = None
    retried: int = 0
    _put_again: "set[Difference]" = field(default_factory=set)
    _called_again: set[UUID] = field(default_factory=set)

    def add(self, step: "VerifyStep") -> None:
        """Count a step, and print its differences unless JSON is wanted."""
        self.objects += step.objects
        self.unreadable += step.unreadable
        self.differences += step.differences
        self.next = step.next
        self.reached_at = step.reached_at or self.reached_at
        if not self.as_json:
            for one in step.differences:
                _print_line(one)

    def mark_repaired(self, one: "Difference") -> None:
        """Record that an object was written again."""
        self._put_again.add(one)

    def mark_retried(self, job_ids: Collection[UUID]) -> None:
        """Record that jobs were queued again."""
        self.retried += len(job_ids)
        self._called_again.update(job_ids)

    @property
    def repaired(self) -> int:
        """Count the objects that were written again from a spool."""
        return len(self._put_again)

    @property
    def unresolved(self) -> "list[Difference]":
        """Return the differences that remain."""
        return [
            one
            for one in self.differences
            if one not in self._put_again and one.job_id not in self._called_again
        ]

    @property
    def exit_status(self) -> int:
        """Return 1 if something still differs or was not checked."""
        return int(bool(self.unresolved) or bool(self.unreadable) or not self.is_complete)

    def how_to_go_on(self) -> str:
        """Say how to compare the rest after an interruption."""
        if self.next is None:
            return "the same command begins anew"
        return f"the same command with --after {self.next} does the rest"

    def print(self) -> None:
        """Print the counts, or everything as JSON."""
        if self.as_json:
            print_json(self._document())
            return
        kinds = Counter(one.kind.value for one in self.differences)
        counts = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
        echo(f"{self.objects:,} objects compared: {counts or 'no difference'}")
        if self.unreadable:
            note(f"{self.unreadable:,} rows cannot be read by this release")
        if self.repaired or self.retried:
            echo(f"{self.repaired:,} put again, {self.retried:,} jobs queued again")

    def _document(self) -> dict[str, object]:
        return {
            "objects": self.objects,
            "differences": [one.as_json() for one in self.differences],
            "unreadable": self.unreadable,
            "repaired": self.repaired,
            "retried": self.retried,
            "unresolved": len(self.unresolved),
            "complete": self.is_complete,
            "next": None if self.is_complete or self.next is None else str(self.next),
        }


def _print_line(one: "Difference") -> None:
    """Print one difference; keys and digests come from the rows, or from the bucket's listing."""
    job = "-" if one.job_id is None else str(one.job_id)
    words = f"{one.expected} expected, {one.found} found" if one.expected else one.found
    echo(f"{one.kind.value:<12} {job} {one.key} {words}")

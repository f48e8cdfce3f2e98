"""Format the table at the end of a run, for a terminal and for a page of documentation."""

import json
from collections.abc import Sequence
from pathlib import Path

from chaos.markdown import aligned
from chaos.result import Result

__all__ = ["table", "write_json"]

HEAD = (
    "fault",
    "jobs",
    "lost",
    "twice",
    "charged",
    "unknown",
    "uncounted",
    "recover s",
    "after÷before",
    "peak MB",
    "verdict",
)


def table(results: Sequence[Result]) -> str:
    """Return aligned Markdown, followed by what was broken, noted and skipped."""
    lines = aligned([HEAD, *(_cells(result) for result in results)])
    return "\n".join([*lines, "", *_notes(results)])


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Write the same as JSON, for programs."""
    path.write_text(json.dumps([result.as_json() for result in results], indent=1) + "\n", "utf-8")


def _cells(result: Result) -> tuple[str, ...]:
    fault = result.fault if result.runner == "darkroom" else f"  … {result.runner}"
    if result.skipped:
        return (fault, *[""] * (len(HEAD) - 2), "skipped")
    return (
        fault,
        str(result.jobs),
        str(result.lost),
        str(result.stored_twice),
        str(result.charged),
        str(result.unknown),
        str(result.uncounted),
        _number(result.recover_s, 1),
        _number(result.throughput, 2),
        f"{result.peak_memory_mb:.0f}",
        _verdict(result),
    )


def _verdict(result: Result) -> str:
    if result.runner != "darkroom":
        return "for comparison"
    return "BROKEN" if result.broken else "kept"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _notes(results: Sequence[Result]) -> list[str]:
    lines = []
    for result in results:
        about = result.fault if result.runner == "darkroom" else f"{result.fault} ({result.runner})"
        if result.skipped:
            lines.append(f"{about}: skipped, {result.skipped}")
        lines.extend(f"{about}: BROKEN: {sentence}" for sentence in result.broken)
        lines.extend(f"{about}: {sentence}" for sentence in result.notes)
    return lines

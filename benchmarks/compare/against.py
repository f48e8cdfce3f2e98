"""`python -m benchmarks --against REF`: measure two checkouts alternately; gate on the ratio.

Each measurement is a process of the measured checkout, with its own servers.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare.paired import Comparison, abba, compare, comparison_table
from benchmarks.compare.reference import Side, here, measured, reference
from benchmarks.readings.book import Book
from benchmarks.report.report import made_on

__all__ = ["PAIRS", "QUICK_PAIRS", "compare_with", "summarised"]

#: A gate needs at least so many: the median of fewer varies with the machine's load.
PAIRS = 6
QUICK_PAIRS = 1


def compare_with(
    revision: str, arguments: Sequence[str], *, pairs: int, is_gate: bool, json_path: Path
) -> int:
    """Measure both checkouts alternately, print the table and return the exit status.

    It is 0, or 1 if the gate fails, 2 if a measurement fails, 130 if the run is interrupted.

    Args:
        revision: anything that git resolves to a commit.
        arguments: of each measurement, as `--only cpu --quick`.
        pairs: how many measurements of each.
        is_gate: whether a figure above its bound makes the exit status 1.
        json_path: the file for every reading.
    """
    # A shell starts background processes with SIGINT ignored, and a child inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end)
    try:
        found = _in_turns(revision, arguments, pairs, json_path)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("benchmarks: interrupted; the worktree is removed\n")
        return 130
    summary = "\n".join(summarised(found, is_gate=is_gate))
    sys.stdout.write(f"\n{comparison_table(found)}\n\n{made_on()}\n\n{summary}\n")
    return int(is_gate and any(one.fails for one in found))


def _in_turns(
    revision: str, arguments: Sequence[str], pairs: int, json_path: Path
) -> list[Comparison]:
    """Measure the pairs; after each pair, write the readings of all measured pairs."""
    books: dict[str, list[Book]] = {"reference": [], "here": []}
    found: list[Comparison] = []
    with reference(revision) as other:
        sides = {"reference": other, "here": here()}
        for number, order in enumerate(abba(pairs), start=1):
            for name in order:
                books[name].append(_measured(sides[name], arguments, number, pairs))
            found = compare(books["reference"], books["here"])
            _write_json(json_path, revision, books, found)
    return found


def _measured(side: Side, arguments: Sequence[str], number: int, pairs: int) -> Book:
    sys.stderr.write(f"pair {number} of {pairs}: {side.name}\n")
    sys.stderr.flush()
    return measured(side, arguments)


def summarised(found: Sequence[Comparison], *, is_gate: bool) -> list[str]:
    """Return a line for each figure above its bound, then whether the gate was passed."""
    lines = [f"to be explained: {one.label}" for one in found if one.needs_explanation]
    if not is_gate:
        return [*lines, "no gate: a short try always ends with exit status 0"]
    if not any(one.is_gated for one in found):
        return [*lines, "no gate: none of its figures was measured"]
    failed = [f"the gate failed: {one.label}" for one in found if one.fails]
    return [*lines, *(failed or ["the gate was passed"])]


def _write_json(
    path: Path, revision: str, books: dict[str, list[Book]], found: Sequence[Comparison]
) -> None:
    sides = {
        name: [[asdict(reading) for reading in book.readings] for book in side]
        for name, side in books.items()
    }
    lines = [
        {**asdict(one), "ratios": one.ratios, "verdict": one.verdict, "fails": one.fails}
        for one in found
    ]
    text = json.dumps({"against": revision, **sides, "figures": lines}, indent=1)
    path.write_text(text + "\n", "utf-8")


def _end(_number: int, _frame: object) -> None:
    """Exit as after Ctrl-C, so that the worktree is removed."""
    raise KeyboardInterrupt

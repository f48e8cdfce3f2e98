"""Format the run for printing, for a page of documentation and for programs."""

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.readings.book import Book
from benchmarks.report.machine import machine, versions
from benchmarks.report.row import Row, shown
from benchmarks.report.rows import CONTENDERS, rows
from chaos.markdown import aligned

__all__ = ["made_on", "table", "write_json"]

HEAD = ("figure", *CONTENDERS, "to reach", "reached")


def table(book: Book) -> str:
    """Return Markdown, a line per figure: the median, then the lowest and highest of the runs."""
    return "\n".join(aligned([HEAD, *(_cells(row) for row in rows(book))]))


def made_on() -> str:
    """Return a paragraph: machine and versions."""
    facts = [f"{name} {text}" for name, text in {**machine(), **versions()}.items()]
    return ", ".join(facts) + "."


def write_json(path: Path, book: Book, arguments: list[str]) -> None:
    """Write every reading as JSON, for programs."""
    record = {
        "machine": machine(),
        "versions": versions(),
        "arguments": arguments,
        "readings": [asdict(reading) for reading in book.readings],
    }
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    values = [shown(row.values.get(who, ())) for who in CONTENDERS]
    return (row.label, *values, str(row.goal) if row.goal else "", row.verdict)

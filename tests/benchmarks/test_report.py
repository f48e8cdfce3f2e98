"""The table and the page say what was measured, and whether a bound was reached."""

from pathlib import Path

import pytest

from benchmarks.figures.cpu import CHECKED, CPU, CPU_TLS
from benchmarks.figures.fast_paths import ALL_PATHS, PATHS
from benchmarks.figures.flight import FLIGHT
from benchmarks.figures.sizing import sizing
from benchmarks.readings.book import Book
from benchmarks.readings.reading import Reading
from benchmarks.report.page import PAGE, write_page
from benchmarks.report.paths import paths_table
from benchmarks.report.report import table
from benchmarks.report.rows import rows

MARKED = "".join(
    f"<!-- bench {name} -->\nold {name}\n<!-- /bench {name} -->\nafter {name}\n"
    for name in ("paths", "table", "plots", "sizing")
)


def _book() -> Book:
    """Two rounds in which the machine was twice as fast in the second."""
    costs = {"postgres_ms": 2.0, "broker_ms": 0.5}
    return Book(
        [
            Reading(CPU, CHECKED, {"worker_ms": 4.0}),
            Reading(CPU, "Darkroom", {"worker_ms": 6.0, **costs}),
            Reading(CPU, "Celery", {"worker_ms": 30.0}),
            Reading(CPU, CHECKED, {"worker_ms": 2.0}),
            Reading(CPU, "Darkroom", {"worker_ms": 3.0, **costs}),
            Reading(CPU, "Celery", {"worker_ms": 15.0}),
            Reading(FLIGHT, "Darkroom", {"calls": 10, "memory_mb": 100.0}),
            Reading(FLIGHT, "Darkroom", {"calls": 1_000, "memory_mb": 500.0}),
            *_paths().readings,
        ]
    )


def _paths() -> Book:
    """A worker without its memory cache, between two that have it."""
    return Book(
        [
            Reading(PATHS, CHECKED, {"worker_ms": 4.0}),
            Reading(PATHS, ALL_PATHS, {"worker_ms": 8.0}),
            Reading(PATHS, "memory cache", {"worker_ms": 11.0, "times": 1.375}),
            Reading(PATHS, ALL_PATHS, {"worker_ms": 8.0}),
        ]
    )


def _line(words: str) -> list[str]:
    lines = [line for line in table(_book()).splitlines() if words in line]
    assert len(lines) == 1, lines
    return [cell.strip() for cell in lines[0].split("|")]


def test_a_ratio_is_taken_within_a_round() -> None:
    """However the machine's pace changes between rounds, the ratio does not."""
    assert _line("against the raw limit")[2] == "1.50 (1.50 to 1.50)"
    assert _line("worker CPU per image")[2] == "4.50 (3.00 to 6.00)"


def test_a_bound_that_was_missed_is_told() -> None:
    """Each figure is held against what the issue asks, and the largest number of calls counts."""
    assert _line("against the raw limit")[-3:-1] == ["≤ 2.00", "yes"]
    assert _line("against Celery")[-2] == "NO"
    assert _line("1,000 calls in flight: peak memory")[-2] == "NO"


def test_what_was_not_measured_has_no_line() -> None:
    """A run of one figure prints that figure."""
    assert "backlog" not in table(_book())
    assert table(Book()).count("\n") == 1


def test_a_run_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    """What an earlier run left is replaced, all else stays, and plots lie beside the page."""
    page = tmp_path / PAGE
    page.write_text(MARKED)
    for _ in range(2):
        write_page(tmp_path, _book(), "make bench")
    text = page.read_text()
    assert "old" not in text
    assert text.count("<!-- bench table -->") == 1
    assert all(f"after {name}\n" in text for name in ("paths", "table", "plots", "sizing"))
    assert "| workers " in text
    drawn = [path.name for path in tmp_path.glob("*.png")]
    assert drawn == ["performance-calls-in-flight.png"]
    assert drawn[0] in text


def test_a_run_of_the_fast_paths_replaces_their_table_alone(tmp_path: Path) -> None:
    """All other figures stay as an earlier run left them; no plot is drawn over."""
    page = tmp_path / PAGE
    page.write_text(MARKED)
    write_page(tmp_path, _paths(), "make bench")
    text = page.read_text()
    assert "old paths" not in text
    assert all(f"old {name}\n" in text for name in ("table", "plots", "sizing"))
    assert "without: memory cache" in text
    assert not list(tmp_path.glob("*.png"))


def test_a_run_of_other_figures_leaves_the_table_of_fast_paths(tmp_path: Path) -> None:
    """What takes long to measure is not lost with a run of something else."""
    page = tmp_path / PAGE
    page.write_text(MARKED)
    write_page(tmp_path, Book([Reading(CPU, "Darkroom", {"worker_ms": 6.0})]), "make bench")
    assert "old paths\n" in page.read_text()
    assert "old table" not in page.read_text()


def test_the_table_of_fast_paths_names_what_a_worker_lacks() -> None:
    """Its CPU, how many times that of a complete worker, and the module that describes it."""
    lines = {
        cells[1]: cells[2:5]
        for line in paths_table(_paths()).splitlines()
        if len(cells := [cell.strip() for cell in line.split("|")]) > 4
    }
    assert lines["with all five"] == ["8.00 (8.00 to 8.00)", "", ""]
    assert lines["without: memory cache"] == ["11.0", "1.38", "`tasks.storing.picture_cache`"]
    assert lines["raw limit with checks, for comparison"][0] == "4.00"
    assert paths_table(Book()) == ""


def test_costs_over_tls_have_lines_of_their_own() -> None:
    """They stand beside those of plain HTTP, of every contender."""
    book = Book(
        [
            Reading(CPU, "Darkroom", {"worker_ms": 6.0}),
            Reading(CPU_TLS, "Darkroom", {"worker_ms": 9.0}),
            Reading(CPU_TLS, CHECKED, {"worker_ms": 3.0}),
            Reading(CPU_TLS, "Celery", {"worker_ms": 45.0}),
        ]
    )
    labels = [row.label for row in rows(book)]
    assert len(labels) == len(set(labels))
    ours = {row.label: row.values["Darkroom"] for row in rows(book)}
    assert ours["worker CPU per image over TLS, ms"] == [9.0]
    assert ours["… over TLS, against the raw limit with checks"] == [3.0]
    assert ours["… over TLS, against plain HTTP"] == [1.5]


def test_sizes_are_computed_from_costs_over_tls_if_the_run_has_them() -> None:
    """A worker of 25.6 images a second at 10 ms needs a quarter of a core, at 20 ms half of one."""
    costs = {"postgres_ms": 1.0, "broker_ms": 0.1}
    plain = Reading(CPU, "Darkroom", {"worker_ms": 10.0, **costs})
    tls = Reading(CPU_TLS, "Darkroom", {"worker_ms": 20.0, **costs})
    assert _cores(Book([plain])) == "0.26"
    assert _cores(Book([plain, tls])) == "0.51"


def _cores(book: Book) -> str:
    (line,) = [line for line in sizing(book).splitlines() if "cores for workers" in line]
    return line.split("|")[2].strip()


def test_a_page_without_its_marks_is_refused(tmp_path: Path) -> None:
    """A run is not lost in a page that has no place for it."""
    (tmp_path / PAGE).write_text("no marks here")
    with pytest.raises(ValueError, match="bench table"):
        write_page(tmp_path, _book(), "make bench")

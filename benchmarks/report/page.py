"""Write a run into docs/performance.md: the text between its marks, and the plots."""

from pathlib import Path

from benchmarks.figures.sizing import sizing
from benchmarks.readings.book import Book
from benchmarks.report.paths import paths_table
from benchmarks.report.plots import PLOTS, write_plots
from benchmarks.report.report import made_on, table
from benchmarks.report.rows import rows

__all__ = ["write_page"]

PAGE = "performance.md"


def write_page(docs: Path, book: Book, command: str) -> None:
    """Replace what an earlier run left between the marks.

    A run of the fast paths alone replaces only their table, and any other run the rest.

    Args:
        docs: the folder of the pages.
        book: the run.
        command: the command line that made it.

    Raises:
        ValueError: the page lacks a mark.
    """
    page = docs / PAGE
    text = page.read_text("utf-8")
    made = f"Made by `{command}`. {made_on()}"
    places: dict[str, str] = {}
    paths = paths_table(book)
    if rows(book) or not paths:
        plots = [f"![{PLOTS[name]}]({name})" for name in write_plots(docs, book)]
        places |= {
            "table": f"{made}\n\n{table(book)}",
            "plots": "\n\n".join(plots),
            "sizing": sizing(book),
        }
    if paths:
        places["paths"] = f"{made}\n\n{paths}"
    for name, content in places.items():
        text = _between(text, name, content)
    page.write_text(text, "utf-8")


def _between(text: str, name: str, content: str) -> str:
    start, end = f"<!-- bench {name} -->", f"<!-- /bench {name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{PAGE} has no place for the {name}: {start} … {end}")
    return f"{before}{start}\n\n{content}\n\n{end}{after}"

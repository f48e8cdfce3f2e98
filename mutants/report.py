"""Report a run: a table by file, and every survivor with its change."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from mutants.trial import Outcome

__all__ = ["Finding", "report", "survivors_share"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one mutant.

    Attributes:
        file: where it was planted.
        line: in which line.
        before: the changed lines.
        after: what they were changed to.
        outcome: the result of the tests; None if it is listed as equivalent.
        reason: why it is equivalent.
    """

    file: str
    line: int
    before: str
    after: str
    outcome: Outcome | None
    reason: str = ""


def survivors_share(findings: Sequence[Finding]) -> float:
    """Return the share of the mutants tried that no test noticed, 0 to 1."""
    tried = [finding for finding in findings if finding.outcome is not None]
    survived = sum(finding.outcome is Outcome.SURVIVED for finding in tried)
    return survived / len(tried) if tried else 0.0


def report(findings: Sequence[Finding]) -> str:
    """Return the table, the survivors and the closing line."""
    survivors = [finding for finding in findings if finding.outcome is Outcome.SURVIVED]
    shown = [f"{one.file}:{one.line}\n    - {one.before}\n    + {one.after}" for one in survivors]
    share = survivors_share(findings)
    closing = f"{len(survivors)} survived, {share:.1%} of those tried"
    return "\n".join([_table(findings), *shown, "", closing])


def _table(findings: Sequence[Finding]) -> str:
    table = Table("file", box=MARKDOWN)
    for column in ("drawn", "killed", "timed out", "survived", "equivalent"):
        table.add_column(column, justify="right")
    for file in sorted({finding.file for finding in findings}):
        table.add_row(*_row(file, [one for one in findings if one.file == file]))
    table.add_row(*_row("all", findings))
    written = StringIO()
    Console(file=written, width=120).print(table)
    return written.getvalue().strip() + "\n"


def _row(name: str, findings: Sequence[Finding]) -> list[str]:
    counts = Counter(finding.outcome for finding in findings)
    columns = (Outcome.KILLED, Outcome.TIMED_OUT, Outcome.SURVIVED, None)
    return [name, str(len(findings)), *(str(counts[column]) for column in columns)]

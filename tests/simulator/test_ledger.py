"""What was charged is counted, filtered and kept."""

from pathlib import Path

from simulator.ledger import Ledger, LedgerFilter


def test_calls_are_counted_by_prompt_and_seed() -> None:
    """The same prompt with another seed is another line."""
    ledger = Ledger()
    for prompt, seed in [("a", 1), ("a", 1), ("a", 2), ("b", None)]:
        ledger.charge(prompt, seed)
    report = ledger.report(LedgerFilter())
    assert (report["total"], report["distinct"]) == (4, 3)
    assert {"prompt": "a", "seed": 1, "count": 2} in report["calls"]


def test_a_filter_narrows_the_report() -> None:
    """By prompt, by part of it, by seed, and by "more often than"."""
    ledger = Ledger()
    for prompt, seed in [("a fox", 1), ("a fox", 1), ("a fox", 2), ("a cat", 1)]:
        ledger.charge(prompt, seed)
    assert ledger.report(LedgerFilter(prompt="a fox"))["total"] == 3
    assert ledger.report(LedgerFilter(contains="cat"))["total"] == 1
    assert ledger.report(LedgerFilter(seed=2))["total"] == 1
    assert ledger.report(LedgerFilter(over=1))["distinct"] == 1


def test_a_ledger_with_a_file_outlives_its_process(tmp_path: Path) -> None:
    """A restarted simulator goes on counting, even after a line cut short by a kill."""
    path = tmp_path / "ledger.jsonl"
    Ledger(path).charge("a fox", 7)
    with path.open("a") as file:
        file.write('["a f')
    again = Ledger(path)
    again.charge("a fox", 7)
    assert again.total == 2
    assert Ledger(path).total == 2


def test_a_reset_empties_the_file(tmp_path: Path) -> None:
    """What was forgotten stays forgotten."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.charge("a fox", 7)
    ledger.reset()
    assert Ledger(tmp_path / "ledger.jsonl").total == 0

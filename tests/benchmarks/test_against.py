"""Two checkouts are compared pair by pair, and the gate holds for what costs money."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.compare.against import summarised
from benchmarks.compare.paired import Comparison, abba, compare, comparison_table
from benchmarks.compare.reference import Side, measured, reference
from benchmarks.figures.cpu import CPU
from benchmarks.figures.flight import FLIGHT, FLIGHT_TLS
from benchmarks.figures.trips import TRIPS
from benchmarks.readings.book import Book
from benchmarks.readings.reading import Reading

OLD = "old benchmarks"
ROOT = Path(__file__).parents[2]


def _book(
    worker_ms: float, share: float = 0.9, memory_mb: float = 300.0, trips: float = 1.0
) -> Book:
    flight = {"calls": 100.0, "memory_mb": memory_mb, "of_possible": share, "worker_ms": 6.0}
    return Book(
        [
            Reading(CPU, "Darkroom", {"worker_ms": worker_ms, "mb_per_call": 1.0}),
            Reading(FLIGHT, "Darkroom", flight),
            Reading(FLIGHT_TLS, "Darkroom", {**flight, "of_possible": share / 2}),
            Reading(TRIPS, "Darkroom", {"trips": trips}),
        ]
    )


def _found(reference: list[Book], here: list[Book], words: str) -> Comparison:
    (found,) = [one for one in compare(reference, here) if one.label == words]
    return found


CPU_LABEL = "worker CPU per image, ms"
SHARE_LABEL = "100 calls in flight: delivered of what is possible"


def test_checkouts_take_turns_so_that_each_is_first_as_often() -> None:
    """A machine that slows down slows both alike: reference, here, here, reference."""
    order = [side for pair in abba(6) for side in pair]
    assert order[:4] == ["reference", "here", "here", "reference"]
    assert order[:4] * 3 == order


def test_a_ratio_is_taken_within_a_pair() -> None:
    """The machine was twice as fast in the second pair; the code cost the same."""
    found = _found([_book(6.0), _book(3.0)], [_book(6.0), _book(3.0)], CPU_LABEL)
    assert found.ratios == [1.0, 1.0]
    assert not found.fails


def test_one_slow_pair_does_not_fail_the_gate_and_most_pairs_do() -> None:
    """The median of the pairs is held against the bound."""
    reference = [_book(5.0)] * 3
    assert not _found(reference, [_book(5.0), _book(5.1), _book(9.0)], CPU_LABEL).fails
    assert _found(reference, [_book(5.0), _book(5.2), _book(5.3)], CPU_LABEL).fails


def test_a_smaller_share_is_worse() -> None:
    """The delivered share is inverted, so that a ratio above 1 is worse in every line."""
    worse = _found([_book(5.0, share=0.9)], [_book(5.0, share=0.8)], SHARE_LABEL)
    assert worse.median_ratio == pytest.approx(0.9 / 0.8)
    assert worse.fails
    assert not _found([_book(5.0, share=0.8)], [_book(5.0, share=0.9)], SHARE_LABEL).fails


@pytest.mark.parametrize(
    "here", [_book(5.2), _book(5.0, memory_mb=310), _book(5.0, trips=1.04), _book(5.0, share=0.87)]
)
def test_the_gate_holds_for_cpu_memory_trips_and_share(here: Book) -> None:
    """Each of the four alone fails the gate."""
    found = compare([_book(5.0)], [here])
    assert len([one for one in found if one.fails]) == 1
    assert len([one for one in found if one.is_gated]) == 4
    assert any("the gate failed" in line for line in summarised(found, is_gate=True))


def test_another_figure_is_reported_and_explained_above_its_bound() -> None:
    """Figures outside the gate do not fail it."""
    found = Comparison("broker memory", [1.0], [1.2])
    assert not found.fails
    assert summarised([found], is_gate=True)[0] == "to be explained: broker memory"
    assert not Comparison("broker memory", [1.0], [1.09]).needs_explanation


def test_a_gated_figure_that_one_side_lacks_fails() -> None:
    """A figure that was renamed or no longer measured is not passed over in silence."""
    found = _found([Book()], [_book(5.0)], CPU_LABEL)
    assert found.fails
    assert "not measured on both sides" in found.verdict


def test_nothing_against_something_is_infinitely_worse() -> None:
    """A figure of zero has no finite ratio, and zero against zero is no change."""
    assert Comparison("scans", [0.0], [2.0]).median_ratio == math.inf
    assert Comparison("scans", [0.0], [0.0]).median_ratio == 1.0


def test_the_table_has_medians_ratio_and_verdict() -> None:
    """A line is readable without the readings beside it."""
    lines = comparison_table(compare([_book(5.0)] * 2, [_book(5.5)] * 2)).splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {CPU_LABEL}")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells == [CPU_LABEL, "5.00", "5.50", "1.100", "1.100", "1.100", "FAILED: above 1.03"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository whose benchmarks write one reading."""
    root = tmp_path / "repository"
    package = root / "benchmarks"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import json, pathlib, sys\n"
        "words = sys.argv[1:]\n"
        "reading = {'figure': ' '.join(words[:-1]), 'contender': 'Darkroom', 'numbers': {'n': 1}}\n"
        "assert '--darkroom-only' in words\n"
        "pathlib.Path(words[-1]).write_text(json.dumps({'readings': [reading]}))\n"
    )
    _git(root, "init", "--quiet")
    _git(root, "add", ".")
    _git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")
    return root


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words],  # noqa: S607 - the git on the PATH, as a developer runs it
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_a_worktree_is_removed_after_an_interruption(repository: Path) -> None:
    """After Ctrl-C, neither the folder nor git's note of it remains."""

    def interrupted() -> Path:
        with reference("HEAD", repository) as side:
            roots.append(side.root)
            assert (side.root / "benchmarks" / "__main__.py").exists()
            raise KeyboardInterrupt

    roots: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not roots[0].exists()
    assert len(_git(repository, "worktree", "list").splitlines()) == 1


STOPS_SLOWLY = """
import pathlib, time
try:
    pathlib.Path("started").touch()
    time.sleep(60)
finally:
    time.sleep(0.5)
    pathlib.Path("stopped").touch()
"""
MEASURES = """
import pathlib, sys
from benchmarks.compare.reference import Side, measured
measured(Side("here", pathlib.Path(sys.argv[1]), pathlib.Path(sys.executable)), [])
"""


def test_an_interrupted_measurement_stops_its_servers_first(tmp_path: Path) -> None:
    """Ctrl-C reaches it once, and not again while it cleans up."""
    package = tmp_path / "benchmarks"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"# --darkroom-only\n{STOPS_SLOWLY}")
    driver = subprocess.Popen(
        [sys.executable, "-c", MEASURES, str(tmp_path)],
        cwd=ROOT,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert driver.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGINT)
    assert driver.wait(60) != 0
    assert (tmp_path / "stopped").exists()


def test_a_checkout_measures_itself_with_its_own_benchmarks(repository: Path) -> None:
    """The readings come from the code of the checkout's root, not from this process's packages."""
    side = Side("here", repository, Path(sys.executable))
    book = measured(side, ["--only", "cpu"])
    assert book.readings == [Reading("--darkroom-only --only cpu --json", "Darkroom", {"n": 1})]


def test_benchmarks_from_before_the_option_are_measured_too(tmp_path: Path) -> None:
    """A revision without `--darkroom-only` runs its own benchmarks, without the other queues."""
    package = tmp_path / "benchmarks"
    package.mkdir()
    (package / "__main__.py").write_text(OLD)
    command = Side("old", tmp_path, Path("python")).command(["--only", "cpu"])
    assert command[1] == "-c"
    assert command[-2:] == ["--only", "cpu"]


def test_a_comparison_names_no_figure_that_an_older_revision_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its benchmarks would refuse the name; a user who wants such a figure asks for it."""
    given: list[str] = []

    def compared(_revision: str, arguments: list[str], **_: object) -> int:
        given.extend(arguments)
        return 0

    monkeypatch.setattr("benchmarks.__main__.compare_with", compared)
    assert main(["--against", "HEAD"]) == 0
    assert {"cpu", "flight", "trips"} <= set(given)
    assert {"paths", "tls"}.isdisjoint(given)


def test_a_gate_takes_no_fewer_than_six_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    """A median of few pairs moves with the machine, so only a short try may have fewer."""
    with pytest.raises(SystemExit):
        main(["--against", "HEAD", "--pairs", "3"])
    assert "6 or more" in capsys.readouterr().err

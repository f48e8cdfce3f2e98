"""Every row of the fault matrix, at a size that a test suite can afford."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from chaos import MATRIX, SMALL, Ground, Result, Row, run_row

#: Rows mostly wait, for leases and outages; so several are played at once, on servers of their own.
GROUNDS = 4

#: Rows that show a defect which is known and not mended yet.
KNOWN: dict[str, str] = {}


def _marked(row: Row) -> object:
    known = KNOWN.get(row.name)
    marks = [pytest.mark.xfail(run=False, reason=known)] if known else []
    return pytest.param(row, id=row.name, marks=marks)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Result]]]:
    """The rows that were asked for, being played in the background, in their order."""
    asked = {item.name for item in request.session.items if item.path == request.path}
    wanted = {
        row.name
        for row in MATRIX
        if row.name not in KNOWN and any(f"[{row.name}]" in name for name in asked)
    }
    here = threading.local()
    with ExitStack() as stack:

        def arrive() -> None:
            here.ground = grounds.pop()

        def play(row: Row) -> Result:
            return run_row(here.ground, row)

        count = min(GROUNDS, len(wanted))
        grounds = [stack.enter_context(Ground.of(SMALL)) for _ in range(count)]
        players = ThreadPoolExecutor(count, initializer=arrive)
        stack.callback(players.shutdown, cancel_futures=True)
        yield {row.name: players.submit(play, row) for row in MATRIX if row.name in wanted}


@pytest.mark.parametrize("row", [_marked(row) for row in MATRIX])
def test_the_promises_are_kept(row: Row, played: dict[str, Future[Result]]) -> None:
    """Nothing lost, nothing stored twice, no charge uncounted, and what the row itself demands."""
    result = played[row.name].result()
    if result.skipped:
        pytest.skip(result.skipped)
    assert not result.broken
    assert result.jobs

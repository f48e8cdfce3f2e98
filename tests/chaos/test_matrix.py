"""Every row of the fault matrix, at a size that a test suite can afford."""

from collections.abc import Iterator
from functools import partial

import pytest

from chaos import MATRIX, SMALL, Ground, Row, run_row
from tests.services.postgres import Installation

# A row may wait a minute for a fleet that is stuck, and then says what it found.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def ground(
    _postgres_installation: Installation, request: pytest.FixtureRequest
) -> Iterator[Ground]:
    """Servers for these rows alone: they are killed, wiped and cut off.

    RabbitMQ, which takes long to start, is the tester's own; each row has queues of its own there.
    """
    rabbitmq = partial(request.getfixturevalue, "_rabbitmq_of_session")
    with Ground.of(SMALL, _postgres_installation, rabbitmq) as servers:
        yield servers


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in MATRIX])
def test_the_promises_are_kept(row: Row, ground: Ground) -> None:
    """Nothing lost, nothing stored twice, no charge uncounted, and what the row itself demands."""
    result = run_row(ground, row)
    if result.skipped:
        pytest.skip(result.skipped)
    assert not result.broken
    assert result.jobs

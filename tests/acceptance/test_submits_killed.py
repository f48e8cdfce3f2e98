"""A worker that is killed while it accepts a group of messages loses none, and doubles none.

On Redis it dies after it has gathered every message. Before that, a kill can lose the one message
that Kombu has taken off its list and not noted yet (kombu#305, docs/reliability.md). RabbitMQ has
no such moment, and never sends a worker all of them.
"""

from pathlib import Path
from typing import Any

import pytest

from storage.queries.pages import list_jobs
from tests.acceptance.conftest import MakeFleet
from tests.acceptance.test_rabbitmq import Stranger
from tests.services import S3Endpoint

MESSAGES = 12

#: How many a worker gathers before it writes, so that it has a group of several.
GATHERED = {"redis_url": MESSAGES, "rabbitmq_url": 4}


@pytest.mark.parametrize("step", ["commit", "ack", "end"])
@pytest.mark.parametrize("broker", GATHERED)
def test_each_message_is_one_row_wherever_the_worker_died(
    make_fleet: MakeFleet,
    migrated_sqlite_url: str,
    s3: S3Endpoint,
    request: Any,
    broker: str,
    *,
    step: str,
) -> None:
    """Before the commit, between commit and acknowledgement, and after the acknowledgement."""
    url = request.getfixturevalue(broker)
    fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=url, s3=s3)
    fleet.environment |= {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DARKROOM_SUBMIT_AGAIN_S": "2",
    }
    stranger = Stranger(fleet)
    ids = [stranger.send(f"a paper fox {number}") for number in range(MESSAGES)]
    count = str(GATHERED[broker])
    dying = fleet.start_from_nothing("tests.acceptance.dying", step, count, "worker")
    fleet.wait_until(lambda: dying.poll() is not None, "it never died")
    fleet.start_worker()
    for job_id in ids:
        assert fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    rows = list_jobs(fleet.database, limit=100)
    assert sorted(row.id for row in rows) == sorted(ids)
    # A call that was under way at the kill may be paid, and is then counted as unknown.
    assert MESSAGES <= fleet.charged() <= sum(row.calls_made for row in rows)
    stranger.close()

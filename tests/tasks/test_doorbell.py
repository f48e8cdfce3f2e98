"""The doorbell: how a round's ids are spread over messages, read back from a real broker."""

from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from tasks import Queues
from tasks.doorbell import Doorbell
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket


def lengths(redis_url: str, *, due: int, slots: int) -> list[int]:
    """Ring for so many jobs; how many ids each message names, in the order they went out."""
    app = app_at(redis_url)
    queues = Queues("darkroom")
    doorbell = Doorbell(app, queues, ids_per_message=16, slots=slots, timeout_s=5, pause_s=5)
    job_ids = [uuid7() for _ in range(due)]
    assert doorbell.ring(job_ids) == []
    named = list[list[str]]()
    with app.connection_for_read() as connection:
        queue = app.amqp.queues[queues.generate].bind(connection.default_channel)
        while (message := queue.get(no_ack=True)) is not None:
            ((ids,), *_) = message.payload
            named.append(ids)
    app.close()
    assert [UUID(job_id) for ids in named for job_id in ids] == job_ids
    return [len(ids) for ids in named]


@pytest.mark.parametrize(
    ("due", "expected"), [(0, []), (1, [1]), (2, [1, 1]), (3, [2, 1]), (25, [13, 12])]
)
def test_what_is_due_travels_in_two_messages_at_least(
    redis_url: str, due: int, expected: list[int]
) -> None:
    """Two workers may take it."""
    assert lengths(redis_url, due=due, slots=256) == expected


def test_no_message_is_nearly_empty_beside_full_ones(redis_url: str) -> None:
    """A message costs the same whatever it names: there are as few as there can be."""
    assert lengths(redis_url, due=34, slots=256) == [12, 12, 10]


def test_no_message_names_more_than_a_worker_may_have_waiting(redis_url: str) -> None:
    """A part of its slots, however many ids a message may have."""
    assert lengths(redis_url, due=10, slots=32) == [4, 4, 2]
    assert lengths(redis_url, due=3, slots=1) == [1, 1, 1]

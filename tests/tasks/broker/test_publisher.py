"""The publisher: how a round's ids are spread over messages, read back from a real broker."""

from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from darkroom.wiring.call_threads import CALLS_PER_THREAD_MORE
from tasks.broker.publisher import LEAST_MESSAGES, PART_OF_A_WORKER, Publisher
from tasks.queues import Queues
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket


def lengths(redis_url: str, *, due: int, slots: int, fewest: int = LEAST_MESSAGES) -> list[int]:
    """Ring for so many jobs; how many ids each message names, in the order they went out."""
    app = app_at(redis_url)
    queues = Queues("darkroom")
    publisher = Publisher(app, queues, ids_per_message=16, slots=slots, timeout_s=30, pause_s=5)
    job_ids = [uuid7() for _ in range(due)]
    assert publisher.publish(job_ids, fewest=fewest) == []
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
    ("due", "expected"), [(0, []), (1, [1]), (2, [1, 1]), (3, [1, 2]), (25, [12, 13])]
)
def test_what_is_due_travels_in_two_messages_at_least(
    redis_url: str, due: int, expected: list[int]
) -> None:
    """Two workers may take it."""
    assert lengths(redis_url, due=due, slots=256) == expected


@pytest.mark.parametrize(("due", "slots"), [(34, 256), (241, 256), (17, 32), (10, 32)])
def test_messages_are_as_few_as_may_be_and_about_as_long(
    redis_url: str, due: int, slots: int
) -> None:
    """A message costs the same whatever it names, and none names more than it may."""
    most = min(16, slots // 8)
    found = lengths(redis_url, due=due, slots=slots)
    assert len(found) == -(-due // most)
    assert max(found) <= most
    assert max(found) - min(found) <= 1


@pytest.mark.parametrize(("due", "expected"), [(1, [1]), (2, [2]), (16, [16]), (17, [8, 9])])
def test_jobs_that_were_accepted_together_share_a_message(
    redis_url: str, due: int, expected: list[int]
) -> None:
    """One for up to as many ids as a message may name: they fit the free slots of one worker."""
    assert lengths(redis_url, due=due, slots=256, fewest=1) == expected


def test_a_worker_of_one_slot_is_sent_one_id_a_message(redis_url: str) -> None:
    """A part of it would be none."""
    assert lengths(redis_url, due=3, slots=1) == [1, 1, 1]


def test_a_message_fits_the_threads_that_a_worker_has_beside_its_calls() -> None:
    """They take what it names while every slot is busy."""
    assert PART_OF_A_WORKER == CALLS_PER_THREAD_MORE


def test_how_long_a_broker_takes_no_message_is_counted_from_the_first_failure(
    redis_url: str,
) -> None:
    """A message that goes out ends it, and so does a caller that has acted upon it."""
    nobody = app_at("redis://127.0.0.1:1/0")
    publisher = Publisher(
        nobody, Queues("darkroom"), ids_per_message=16, slots=256, timeout_s=1, pause_s=0
    )
    assert publisher.failing_s == 0
    job_ids = [uuid7()]
    assert publisher.publish(job_ids) == job_ids
    first = publisher.failing_s
    assert first > 0
    assert publisher.publish(job_ids) == job_ids
    assert publisher.failing_s > first
    publisher.forget_failures()
    assert publisher.failing_s == 0
    assert publisher.publish(job_ids) == job_ids
    publisher._app, publisher._connection = app_at(redis_url), None
    assert publisher.publish(job_ids) == []
    assert publisher.failing_s == 0

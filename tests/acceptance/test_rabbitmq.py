"""RabbitMQ instead of Redis: quorum queues, producers of other projects, kill -9 and restart."""

import contextlib
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from amqp.exceptions import NotFound
from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from storage.queries.pages import list_jobs
from tasks.webhooks.on_end.callback_target import OnEnd
from tasks.webhooks.outcome import Failure
from tests.acceptance.conftest import Fleet, MakeFleet
from tests.services import S3Endpoint, Simulator
from tests.services.rabbitmq import RabbitServer
from tests.tasks.webhooks.on_end.test_task_callback import (
    ARGUMENTS,
    WANTED,
    received,
    sender,
    shop_of,
)

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}
PAGE = Path(__file__).parents[2] / "docs" / "producers.md"


@pytest.fixture
def fleet(
    make_fleet: MakeFleet, migrated_sqlite_url: str, rabbitmq_url: str, s3: S3Endpoint
) -> Fleet:
    """A fleet over RabbitMQ; which database it has makes no difference to a broker."""
    return make_fleet(database_url=migrated_sqlite_url, broker_url=rabbitmq_url, s3=s3)


class Stranger:
    """A producer without code of Darkroom, set up as docs/producers.md says for RabbitMQ."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._app = Celery(broker=fleet.environment["DARKROOM_BROKER_URL"], set_as_current=False)
        self._app.conf.broker_transport_options = {"confirm_publish": True}
        self._queue: Any = Queue("darkroom.submit", queue_arguments={"x-queue-type": "quorum"})

    def send(self, prompt: str) -> UUID:
        """Submit a job, again and again under the same id until the broker has it."""
        task_id = str(uuid4())
        request = {"prompt": f"{prompt} {self._fleet.mark}", **SMALL}

        def is_sent() -> bool:
            with contextlib.suppress(OperationalError):
                self._app.send_task(
                    "darkroom.submit",
                    kwargs={"request": request},
                    queue=self._queue,
                    task_id=task_id,
                )
                return True
            return False

        self._fleet.wait_until(is_sent, "the broker never took it")
        return UUID(task_id)

    def close(self) -> None:
        """Leave the broker."""
        self._app.close()


@pytest.fixture
def stranger(fleet: Fleet) -> Iterator[Stranger]:
    """A producer of another project."""
    made = Stranger(fleet)
    yield made
    made.close()


def waiting(fleet: Fleet, queue: str) -> int:
    """Messages of a queue that no worker has been given; none where there is no such queue."""
    with Connection(fleet.environment["DARKROOM_BROKER_URL"]) as connection:
        channel: Any = connection.default_channel
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except NotFound:
            return 0


def documented_lines() -> str:
    """The lines of docs/producers.md for a producer on RabbitMQ."""
    section = PAGE.read_text().split("### When the broker is RabbitMQ")[1]
    [lines] = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    return str(lines)


def run_lines(lines: str, broker_url: str, folder: Path) -> UUID:
    """Run them as another project's program would, aimed at this broker."""
    aimed = re.sub(r'broker="[^"]*"', f'broker="{broker_url}"', lines)
    command = [sys.executable, "-I", "-c", aimed]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return UUID(said.stdout.strip())


@pytest.mark.parametrize("broker", ["rabbitmq_url", "redis_url"])
def test_the_documented_lines_hand_a_job_in_on_either_broker(
    make_fleet: MakeFleet, migrated_sqlite_url: str, s3: S3Endpoint, request: Any, broker: str
) -> None:
    """Before any worker has ever run, too: the message waits, whichever side declares."""
    url = request.getfixturevalue(broker)
    fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=url, s3=s3)
    early = run_lines(documented_lines(), url, fleet.folder)
    fleet.start_worker()
    fleet.wait_for(early, "succeeded")
    fleet.wait_for(run_lines(documented_lines(), url, fleet.folder), "succeeded")
    assert "Traceback" not in fleet.logs()


def test_a_producer_that_takes_the_queue_for_a_classic_one_is_told(
    fleet: Fleet, stranger: Stranger
) -> None:
    """Celery's defaults do not fit, and say so where the message was to be sent."""
    fleet.start_worker()
    fleet.wait_for(stranger.send("first"), "succeeded")
    with pytest.raises(Exception, match="PRECONDITION_FAILED"):
        fleet.send({"prompt": "as on Redis", **SMALL})


def test_a_queue_that_a_producer_declared_as_classic_is_used_as_it_is(fleet: Fleet) -> None:
    """A producer's defaults came first; the workers must not all exit at their start for that."""
    job_id = fleet.send({"prompt": "as on Redis", **SMALL})
    fleet.start_worker()
    fleet.wait_for(job_id, "succeeded")
    fleet.wait_for(fleet.send({"prompt": "as on Redis", **SMALL}), "succeeded")
    assert "used unchanged" in fleet.logs()


def test_a_full_worker_leaves_dispatches_to_others_and_takes_them_again(
    fleet: Fleet, stranger: Stranger, simulator: Simulator
) -> None:
    """What one worker cannot start soon stays in the queue, and comes in when there is room."""
    simulator.put_latency(4.0)
    fleet.start_worker(concurrency=4, dispatch_window=200)
    ids = [stranger.send(f"a full harbour {n}") for n in range(60)]
    fleet.wait_until(lambda: waiting(fleet, "darkroom.generate") > 20, "all were taken in")
    simulator.put_latency(0.0)
    for job_id in ids:
        job = fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.calls_made) == ("succeeded", 1)
    assert fleet.charged() == 60


def test_submits_that_a_dead_worker_held_become_one_row_each(
    fleet: Fleet, stranger: Stranger, migrated_sqlite_url: str
) -> None:
    """Unacknowledged messages go to the next worker; each is kept once."""
    first = fleet.start_worker()
    fleet.wait_for(stranger.send("warm"), "succeeded")
    with contextlib.closing(sqlite3.connect(migrated_sqlite_url.split("///")[1])) as writer:
        writer.execute("BEGIN IMMEDIATE")
        ids = [stranger.send(f"held {n}") for n in range(20)]
        fleet.wait_until(lambda: waiting(fleet, "darkroom.submit") < 20, "none was taken in")
        first.kill()
        fleet.wait_until(lambda: waiting(fleet, "darkroom.submit") == 20, "they never came back")
    fleet.start_worker()
    for job_id in ids:
        job = fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.calls_made) == ("succeeded", 1)
    assert len(list_jobs(fleet.database, limit=100)) == 21
    assert fleet.charged() == 21


def test_rabbitmq_killed_and_restarted_under_load_loses_no_job(
    make_fleet: MakeFleet,
    migrated_sqlite_url: str,
    rabbitmq_server: RabbitServer,
    s3: S3Endpoint,
    simulator: Simulator,
) -> None:
    """Each submitted job is a row with one call, and the workers are not restarted."""
    fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=rabbitmq_server.url, s3=s3)
    stranger = Stranger(fleet)
    simulator.put_latency(0.2)
    workers = [fleet.start_worker(concurrency=4) for _ in range(2)]
    fleet.wait_for(stranger.send("warm"), "succeeded")
    ids: list[UUID] = []
    over = threading.Event()

    def produce() -> None:
        while not over.is_set():
            ids.append(stranger.send(f"under load {len(ids)}"))
            over.wait(0.03)

    producer = threading.Thread(target=produce, name="producer")
    producer.start()
    try:
        fleet.wait_until(lambda: len(ids) >= 20)
        rabbitmq_server.kill()
        sent_before = len(ids)
        rabbitmq_server.start()
        fleet.wait_until(lambda: len(ids) >= sent_before + 10)
    finally:
        over.set()
        producer.join()
    for job_id in ids:
        job = fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.calls_made) == ("succeeded", 1)
    assert [worker.exit_status for worker in workers] == [None, None]
    assert fleet.charged() == len(ids) + 1
    stranger.close()


def test_on_rabbitmq_a_queue_is_waited_for_and_never_declared(rabbitmq_url: str) -> None:
    """It would be of our kind, and its owner's worker could not start."""
    queue = Queue("shop-classic", routing_key="shop-classic")
    wanted = OnEnd(task=WANTED.task, queue=queue.name)
    with sender(rabbitmq_url) as by, shop_of(rabbitmq_url) as shop:
        missing = by.send(wanted, task_id="t-1", kwargs=ARGUMENTS)
        assert missing.failure is Failure.QUEUE_MISSING
        with shop.connection_for_write() as connection:
            queue.bind(connection.default_channel).declare()
        assert by.send(wanted, task_id="t-1", kwargs=ARGUMENTS).status == 202
        assert received(shop, queue) == ("t-1", WANTED.task, ARGUMENTS)

"""Which queues `on_end` may name: on Redis a queue is a key, and some keys are the fleet's own."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from darkroom.errors import UserError
from darkroom.settings import load_settings
from darkroom.wiring.factory import Wiring
from playground.errors import RequestInvalid
from playground.request.request import RequestLimits
from storage.db.database import Database
from storage.queries.get import get_job
from storage.records.delivery import DeliveryState
from storage.records.states import JobStatus
from storage.webhooks.log import latest_delivery
from tasks.batches.checked_batch import BatchOptions
from tasks.batches.service import Batches
from tasks.submission.intake import Intake
from tasks.submission.submit_task import Submission
from tasks.webhooks.attempt import DeliveryAttempt
from tasks.webhooks.on_end.callback_target import OnEndQueues
from tasks.webhooks.on_end.task_callback import TaskCallback
from tests.storage.table import TableUnderTest
from tests.tasks.apps import app_at
from tests.tasks.submissions import NoDispatch, submit_over
from tests.tasks.webhooks.loop.test_deliverer import deliverer, ended

WITHIN_S = 30

#: Queues and keys of a fleet whose namespace is `eu`, and of Celery under it.
REFUSED = [
    "eu",
    "eu.submit",
    "eu.generate",
    "EU.submit",
    "eu:call-budget",
    "eu:owner-rate:x",
    "eu.unacked",
    "eu.unacked_index",
    "eu.unacked_mutex",
    "darkroom.submit",
    "_kombu.binding.celery",
    "_kombu.binding_deadlines",
    "unacked",
    "unacked_index",
    "celeryev",
    "celeryev.1b3f",
    "celery.pidbox",
    "eu-07c3@host.celery.pidbox",
    "1b3f.reply.celery.pidbox",
]
ALLOWED = ["shop", "celery", "europe.orders", "eu-orders", "darkroom-results", "team/shop:high"]


@pytest.mark.parametrize("queue", REFUSED)
def test_keys_of_the_fleet_and_of_celery_are_refused(queue: str) -> None:
    """Also where the installation lists them."""
    assert not OnEndQueues("eu").allows(queue)
    assert not OnEndQueues("eu", only=frozenset({queue})).allows(queue)


@pytest.mark.parametrize("queue", ALLOWED)
def test_any_other_name_is_allowed_unless_some_are_listed(queue: str) -> None:
    """A list allows what it names and nothing else."""
    assert OnEndQueues("eu").allows(queue)
    assert OnEndQueues("eu", only=frozenset({queue})).allows(queue)
    assert not OnEndQueues("eu", only=frozenset({"reports"})).allows(queue)


def test_a_list_with_a_queue_of_the_fleet_is_refused_at_the_start() -> None:
    """The line names the setting and the queue."""
    wiring = Wiring(load_settings(namespace="eu", on_end_queues="shop, eu:call-budget"))
    with pytest.raises(UserError, match="DARKROOM_ON_END_QUEUES: 'eu:call-budget'"):
        _ = wiring.on_end_queues


@pytest.fixture
def table(migrated_sqlite_url: str) -> Iterator[TableUnderTest]:
    """A results table."""
    database = Database(migrated_sqlite_url)
    yield TableUnderTest(database)
    database.close()


@pytest.fixture
def intake(table: TableUnderTest) -> Intake:
    """Accepts jobs for a fleet that lets tasks be sent to `shop` alone."""
    unused: Any = NoDispatch()
    return Intake(
        table.db,
        unused,
        unused,
        limits=RequestLimits(),
        key_prefix="",
        simulated=False,
        on_end_queues=OnEndQueues(only=frozenset({"shop"})),
    )


def test_jobs_and_batches_are_checked_by_the_same_rule(
    intake: Intake, table: TableUnderTest
) -> None:
    """HTTP and the command line both come in here."""
    request = {"prompt": "a fox"}
    wrong = {"task": "shop.made", "queue": "darkroom:call-budget"}
    for on_end in (wrong, {"task": "shop.made", "queue": "reports"}):
        with pytest.raises(RequestInvalid) as refused:
            intake.accept(request, {"on_end": on_end})
        assert [fault.field for fault in refused.value.faults] == ["on_end"]
        lines: Any = []
        with pytest.raises(RequestInvalid, match="on_end"):
            Batches(intake, table.db).check(lines, BatchOptions(on_end=on_end))
    assert intake.accept(request, {"on_end": wrong | {"queue": "shop"}}).created


def test_a_message_that_names_a_refused_queue_is_a_failed_job_without_a_callback(
    intake: Intake, table: TableUnderTest
) -> None:
    """Its producer is gone; its row says what is wrong, and nothing is sent there."""
    job_id = uuid4()
    submit = submit_over(intake)
    on_end = {"task": "shop.made", "queue": "_kombu.binding.celery"}
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "a fox"}, "on_end": on_end}))
    job = get_job(table.db, job_id)
    assert (job.status, job.callback_url) == (JobStatus.FAILED, None)
    assert job.error is not None
    assert job.error.message.startswith("on_end")


@pytest.mark.parametrize("queue", ["darkroom:call-budget", "reports", "darkroom.submit"])
def test_a_stored_target_that_is_refused_now_ends_as_a_failed_delivery(
    table: TableUnderTest, queue: str
) -> None:
    """Rows may be older than the rule, or changed by hand; the code says what is wrong."""
    job_id = ended(table, f"celery:{queue.replace(':', '%3A')}/shop.made")
    app = app_at("redis://127.0.0.1:1/0")
    tasks = TaskCallback(app, queues=OnEndQueues(only=frozenset({"shop"})), timeout_s=1)
    no_webhooks: Any = None
    worker = deliverer(table, DeliveryAttempt(no_webhooks, tasks, default_secret=None).send)
    worker.round()
    assert worker.wait_until_idle(WITHIN_S)
    delivery = latest_delivery(table.db, job_id=job_id)
    assert delivery is not None
    assert (delivery.state, delivery.last_error) == (DeliveryState.FAILED, "QUEUE_REFUSED")
    app.close()

"""A RabbitMQ that refuses the login or the virtual host is an unavailable broker."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from kombu import Connection, Queue

from darkroom.settings import load_settings
from darkroom.wiring.gateway import GatewayWiring
from storage.db.database import Database
from storage.queries.pages import list_jobs
from tasks.broker.queue_depth import QueueDepth
from tasks.webhooks.on_end.callback_target import OnEnd
from tasks.webhooks.outcome import Failure
from tests.acceptance.conftest import MakeFleet
from tests.darkroom.cli.conftest import CommandLine, plain_environment
from tests.gateway.running import serving
from tests.services import S3Endpoint
from tests.services.rabbitmq import RabbitServer
from tests.tasks.apps import app_at
from tests.tasks.webhooks.on_end.test_task_callback import ARGUMENTS, WANTED, sender

SECRET = "hunter2"
SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


@pytest.fixture(params=["login", "virtual host", "rights"])
def refused_url(request: pytest.FixtureRequest, rabbitmq_server: RabbitServer) -> Iterator[str]:
    """URL of a RabbitMQ that answers and refuses: AccessRefused of two kinds, and NotAllowed."""
    at = f"{rabbitmq_server.host}:{rabbitmq_server.port}"
    if request.param == "login":
        yield f"amqp://guest:{SECRET}@{at}//"
    elif request.param == "virtual host":
        yield f"amqp://guest:guest@{at}/no-such-host"
    else:  # a user who may log in, and touch no queue
        add_user(rabbitmq_server, "^$")
        with Connection(rabbitmq_server.url) as connection:
            for name in ("darkroom.generate", "shop"):
                Queue(name, channel=connection.default_channel).declare()
        yield f"amqp://fleet:first@{at}//"
        delete_user(rabbitmq_server)


@pytest.fixture
def fleet_url(rabbitmq_server: RabbitServer) -> Iterator[str]:
    """URL with a user of the test's own, whose password may be changed."""
    add_user(rabbitmq_server, ".*")
    yield f"amqp://fleet:first@{rabbitmq_server.host}:{rabbitmq_server.port}//"
    delete_user(rabbitmq_server)


def add_user(server: RabbitServer, queues: str) -> None:
    """Add a user who may do everything with the queues that this expression matches."""
    rights = ", ".join([f'<<"{queues}">>'] * 3)
    server.evaluate(
        'rabbit_auth_backend_internal:add_user(<<"fleet">>, <<"first">>, <<"test">>), '
        f'rabbit_auth_backend_internal:set_permissions(<<"fleet">>, <<"/">>, {rights}, <<"test">>).'
    )


def delete_user(server: RabbitServer) -> None:
    """Delete that user."""
    server.evaluate('rabbit_auth_backend_internal:delete_user(<<"fleet">>, <<"test">>).')


def test_jobs_are_accepted_and_no_command_shows_a_traceback(
    refused_url: str, migrated_sqlite_url: str, tmp_path: Path
) -> None:
    """HTTP answers 202, `submit` keeps the job, and `worker` and `doctor` say why in a line."""
    settings = load_settings(database_url=migrated_sqlite_url, broker_url=refused_url)
    wiring = GatewayWiring(settings)
    with serving(wiring.gateway) as url:
        body = {"request": {"prompt": "a paper fox"}}
        answer = requests.post(f"{url}/v1/jobs", json=body, timeout=30)
    assert answer.status_code == 202, answer.text
    wiring.database.close()
    wiring.app.close()

    environment = plain_environment() | {
        "DARKROOM_DATABASE_URL": migrated_sqlite_url,
        "DARKROOM_BROKER_URL": refused_url,
    }
    darkroom = CommandLine(tmp_path, environment)
    submitted = darkroom("submit", "a paper fox")
    assert submitted.status == 0, submitted.err
    database = Database(migrated_sqlite_url)
    assert [str(job.status) for job in list_jobs(database)] == ["queued", "queued"]
    database.close()
    worker, doctor = darkroom("worker"), darkroom("doctor")
    assert (worker.status, doctor.status) == (1, 1)
    for said in (worker.err, doctor.out):
        assert "DARKROOM_BROKER_URL: the broker at amqp://" in said
        assert ":**@127.0.0.1" in said
        assert "refuses the login, the virtual host or a queue" in said
    assert SECRET not in submitted.err + worker.err + doctor.out


def test_tasks_and_queue_lengths_are_answered_as_with_a_broker_that_is_away(
    refused_url: str,
) -> None:
    """A delivery is tried again later, and the length of the queue is not known."""
    with sender(refused_url) as by:
        outcome = by.send(OnEnd(task=WANTED.task, queue="shop"), task_id="t", kwargs=ARGUMENTS)
    assert outcome.failure is Failure.BROKER_AWAY
    app = app_at(refused_url)
    # A passive declaration needs no permission, so the broker reports the length to any user.
    length = 0 if "fleet" in refused_url else None
    depth = QueueDepth(app, "darkroom.generate", timeout_s=5)
    assert depth.waiting() == length
    depth._forget()  # where it was answered, its connection stays open for the next look
    app.close()
    gc.collect()  # a socket that a refused login had left open would be warned of here


def test_a_running_fleet_outlives_a_changed_password(
    make_fleet: MakeFleet,
    migrated_sqlite_url: str,
    rabbitmq_server: RabbitServer,
    fleet_url: str,
    s3: S3Endpoint,
) -> None:
    """Its connections are closed and its logins refused: it waits until they are not."""
    fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=fleet_url, s3=s3)
    worker = fleet.start_worker(concurrency=4)
    fleet.wait_for(fleet.send({"prompt": "before", **SMALL}), "succeeded")
    rabbitmq_server.evaluate(_password("second") + CLOSE_ALL)
    fleet.wait_until(lambda: "AccessRefused" in fleet.logs(), "no login was refused")
    assert worker.exit_status is None
    rabbitmq_server.evaluate(_password("first") + "ok.")
    fleet.wait_for(fleet.send({"prompt": "after", **SMALL}), "succeeded")
    assert worker.exit_status is None
    assert "Traceback" not in fleet.logs()


CLOSE_ALL = 'rabbit_networking:close_all_connections("test").'


def _password(word: str) -> str:
    return f'rabbit_auth_backend_internal:change_password(<<"fleet">>, <<"{word}">>, <<"test">>), '

"""An end goes out into the world: real workers, a real receiver, a queue of strangers."""

import base64
import json
import socket
import threading
from uuid import UUID

import redis
from standardwebhooks.webhooks import Webhook

from storage.records.delivery import DeliveryState
from storage.webhooks.log import delivery_log, latest_delivery
from storage.webhooks.secrets import add_secret
from tasks.webhooks.sending.signature import new_secret
from tests.acceptance.conftest import PATIENCE_S, Fleet, MakeFleet
from tests.playground.raw_server import Seen, answer, raw_server
from tests.services import S3Endpoint

SMALL = {"prompt": "a paper fox", "width": 64, "height": 64}


def test_a_webhook_outlives_its_worker_and_a_receiver_that_stumbles(
    make_fleet: MakeFleet, new_migrated_postgres_url: str, redis_url: str, s3: S3Endpoint
) -> None:
    """Answered 500, killed -9 in mid-delivery, then taken: one id, the same bytes, signed."""
    fleet = make_fleet(database_url=new_migrated_postgres_url, broker_url=redis_url, s3=s3)
    secret = new_secret()
    add_secret(fleet.database, "shop", secret, most=1)
    # A delivery whose worker died is due again after both of these. They are long, as a worker that
    # a busy machine stops for longer than one of them delivers, or calls, once more.
    how = {"webhook_allow": "127.0.0.1/32", "webhook_timeout_s": "10", "lease_s": "10"}
    in_hand, killed = threading.Event(), threading.Event()
    tries = iter(("500 Oops", None, "200 OK"))

    def receiver(conn: socket.socket, _: Seen) -> None:
        status = next(tries, "200 OK")
        if status is None:
            in_hand.set()
            killed.wait(PATIENCE_S)
            conn.close()
        else:
            answer(conn, b"noted", status)

    with raw_server(receiver) as server:
        first = fleet.start_worker(**how)
        url = f"http://127.0.0.1:{server.port}/done"
        job_id = fleet.send(SMALL, owner="shop", callback_url=url)
        fleet.wait_until(in_hand.is_set, "it was not tried again")
        first.kill()
        killed.set()
        fleet.start_worker(**how)
        fleet.wait_until(lambda: _state(fleet, job_id) == "delivered", "it did not arrive")
    assert fleet.wait_for(job_id, "succeeded").calls_made == 1
    assert len(server.seen) == 3
    assert len({seen.body for seen in server.seen}) == 1
    delivery = latest_delivery(fleet.database, job_id=job_id)
    assert delivery is not None
    for seen in server.seen:
        event = Webhook(secret).verify(seen.body, seen.headers)
        assert (event["type"], event["data"]["id"]) == ("job.succeeded", str(job_id))
        assert seen.headers["webhook-id"] == str(delivery.id)
    log = delivery_log(fleet.database, delivery.id)
    assert [(line.number, line.status) for line in log] == [(1, 500), (3, 200)]


def test_a_task_of_somebody_elses_is_sent_to_its_queue(lite_fleet: Fleet, redis_url: str) -> None:
    """`on_end`: id and status, the delivery's id as task id; a task of Darkroom is refused."""
    fleet = lite_fleet
    fleet.start_worker()
    wanted = {"task": "reports.picture_made", "queue": "reports"}
    job_id = fleet.send(SMALL, on_end=wanted)
    refused = fleet.send(SMALL, on_end={"task": "darkroom.submit", "queue": "reports"})
    faulty = fleet.send({"prompt": ""}, on_end=wanted)
    fleet.wait_for(refused, "failed")
    fleet.wait_until(
        lambda: _state(fleet, job_id) == _state(fleet, faulty) == "delivered", "it was not sent"
    )
    with redis.Redis.from_url(redis_url) as broker:
        messages = [json.loads(text) for text in broker.lrange("reports", 0, -1)]
    sent = {message["headers"]["id"]: message for message in messages}
    for each, status in ((job_id, "succeeded"), (faulty, "failed")):
        delivery = latest_delivery(fleet.database, job_id=each)
        assert delivery is not None
        assert delivery.state is DeliveryState.DELIVERED
        message = sent.pop(str(delivery.id))
        assert message["headers"]["task"] == "reports.picture_made"
        _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        assert kwargs == {"job_id": str(each), "status": status}
    assert sent == {}


def _state(fleet: Fleet, job_id: UUID) -> str | None:
    delivery = latest_delivery(fleet.database, job_id=job_id)
    return None if delivery is None else delivery.state

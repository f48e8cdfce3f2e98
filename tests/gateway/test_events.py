"""Following a job: every change that a client can be told, and none it has been told before."""

import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import requests

from storage.jobs.cancel import ask_cancel
from tests.gateway.running import Gateway


def follow(gateway: Gateway, job_id: UUID, last: str | None = None) -> requests.Response:
    """Open a stream."""
    headers = {} if last is None else {"Last-Event-ID": last}
    return gateway.get(f"/v1/jobs/{job_id}/events", headers=headers, stream=True)


def events(stream: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream: id and data."""
    fields: dict[str, str] = {}
    for line in stream.iter_lines(decode_unicode=True):
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line and "data" in fields:
            yield fields["id"], json.loads(fields["data"])
            fields = {}


def test_a_stream_tells_each_change_and_ends_with_the_job(gateway: Gateway) -> None:
    """What a client sees is where the row is."""
    job_id = gateway.submit()
    seen: list[tuple[str, bool]] = []
    with follow(gateway, job_id) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        for _, data in events(stream):
            assert data["id"] == str(job_id)
            seen.append((data["status"], data["ended"]))
            if data["status"] == "queued":
                gateway.succeed(job_id)
    assert (seen[0], seen[-1]) == (("queued", False), ("succeeded", True))


def test_who_comes_back_hears_only_what_was_missed(gateway: Gateway) -> None:
    """Nothing where the job has not moved, the new place where it has, 204 after the end."""
    job_id = gateway.submit()
    with follow(gateway, job_id) as stream:
        place, _ = next(events(stream))
    threading.Timer(1.5, gateway.fail, (job_id,)).start()
    with follow(gateway, job_id, place) as stream:
        told = list(events(stream))
    statuses = [data["status"] for _, data in told]
    assert statuses[-1] == "failed"
    assert "queued" not in statuses
    assert told[-1][1]["error_code"] == "PROMPT_UNSAFE"
    with follow(gateway, job_id, place) as stream:
        assert [data["status"] for _, data in events(stream)] == ["failed"]
    assert follow(gateway, job_id, told[-1][0]).status_code == 204


def test_being_asked_to_stop_is_a_change(one_gateway: Gateway) -> None:
    """The status stays, and a client wants to show it."""
    job_id = one_gateway.submit()
    one_gateway.claim(job_id)
    with follow(one_gateway, job_id) as stream:
        told = events(stream)
        assert next(told)[1]["cancel_asked"] is False
        ask_cancel(one_gateway.database, job_id)
        _, data = next(told)
    assert (data["status"], data["cancel_asked"]) == ("running", True)


def test_many_streams_take_no_thread_each(one_gateway: Gateway) -> None:
    """Twice as many as there are threads stay open, and other requests are served."""
    job_id = one_gateway.submit()
    before = threading.active_count()
    streams = [follow(one_gateway, job_id) for _ in range(80)]
    try:
        for stream in streams:
            assert next(events(stream))[1]["status"] == "queued"
        assert one_gateway.get(f"/v1/jobs/{job_id}").status_code == 200
        assert threading.active_count() < before + 40
    finally:
        for stream in streams:
            stream.close()


def test_there_are_no_events_of_what_is_not_there(one_gateway: Gateway) -> None:
    """404 before the stream begins."""
    assert follow(one_gateway, uuid4()).status_code == 404


def test_a_gateway_that_stops_ends_its_streams(one_gateway: Gateway) -> None:
    """A deploy does not wait an hour; the client comes back to the next process."""
    job_id = one_gateway.submit()
    with follow(one_gateway, job_id) as stream:
        told = events(stream)
        next(told)
        one_gateway.services.watch.stop()
        assert list(told) == []

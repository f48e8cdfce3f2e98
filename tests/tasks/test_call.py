"""What one call does, and when it is over."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from playground import ImageRequest, Limits, Meaning, PlaygroundClient, check_request, to_wire
from storage import Database, Job, ObjectStore, Spool, SpooledImage, SpoolEntry
from tasks import ByteGate, Uploads
from tasks.call import Call
from tests.services import Simulator
from tests.tasks.jobs import claimed_job

READING_BYTES = 64_000_000


class Watched(Uploads):
    """Notes when a picture goes to the disk, and what room its answer has by then."""

    def watch(self, events: list[str], reading: ByteGate) -> None:
        """Note it there."""
        self._events, self._reading = events, reading

    def spool(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> SpoolEntry:
        """Write it, as ever."""
        [image] = images
        is_small = self._reading.inside_bytes == image.size_bytes
        self._events.append(f"spooled, {'picture' if is_small else 'answer'} in memory")
        return super().spool(job_id, fence, images)


@pytest.fixture
def client(simulator: Simulator) -> Iterator[PlaygroundClient]:
    """Of the simulator."""
    with PlaygroundClient(
        url=simulator.url,
        api_key=simulator.api_key,
        connect_timeout_s=5.0,
        read_timeout_s=20.0,
        total_timeout_s=30.0,
        max_answer_bytes=10_000_000,
        pool_size=1,
    ) as client:
        yield client


@pytest.fixture
def uploads(tmp_path: Path, database: Database, bucket: ObjectStore) -> Iterator[Watched]:
    """A disk for pictures."""
    spool = Spool(tmp_path / "spool", max_bytes=10**8, fsync=False)
    yield Watched(database=database, objects=bucket, spool=spool, threads=1, key_prefix="")
    spool.close()


def called(
    client: PlaygroundClient, uploads: Watched, job: Job, request: ImageRequest
) -> tuple[Meaning, list[str]]:
    """What a call came to, and what happened meanwhile."""
    events: list[str] = []
    reading = ByteGate(READING_BYTES)
    uploads.watch(events, reading)
    call = Call(client, uploads, reading=reading, decoding=threading.Semaphore(), recipe="off")
    wire: dict[str, Any] = to_wire(request)
    made = call(job, request, wire, on_image=lambda: events.append("over"))
    assert reading.inside_bytes == 0
    return made.verdict.meaning, events


def test_a_call_is_over_before_its_picture_is_on_the_disk(
    client: PlaygroundClient, uploads: Watched, database: Database
) -> None:
    """The next one need not wait for a disk, and of the answer only the picture is held."""
    request = check_request({"prompt": "a fox"}, Limits())
    assert called(client, uploads, claimed_job(database), request) == (
        Meaning.IN_HAND,
        ["over", "spooled, picture in memory"],
    )


def test_a_call_that_failed_is_not_over_until_somebody_knows_why(
    client: PlaygroundClient, uploads: Watched, database: Database, simulator: Simulator
) -> None:
    """No call more may start before a 429 has slowed them all down."""
    simulator.put_faults([{"kind": "status", "status": 429, "rate": 1.0}])
    request = check_request({"prompt": "a fox"}, Limits())
    meaning, events = called(client, uploads, claimed_job(database), request)
    assert meaning is not Meaning.IN_HAND
    assert events == []

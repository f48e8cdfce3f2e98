"""What one call does, and when it is over."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from darkroom.stack.ports import free_port
from playground.answers.recipe import RecipeMode
from playground.answers.verdict import Meaning, Verdict
from playground.client.client import ClientSettings, PlaygroundClient
from playground.request.request import ImageRequest, RequestLimits, check_request
from playground.request.wire import to_wire
from simulator.faults.untidy import FORMS
from storage.db.database import Database
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.job import Job
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage, SpoolEntry
from storage.spool.spool import Spool
from tasks.execution.api_call import ApiCall
from tasks.execution.call_slot import CallSlot
from tasks.execution.prepare_call import PreparedCall
from tasks.execution.run_job import RunJob
from tasks.rate_limit.permit import Permit
from tasks.storing.keep_images import KeepImages
from tasks.storing.uploader import Uploader
from tasks.throttling.byte_limiter import ByteLimiter
from tasks.throttling.call_gate import CallGate
from tests.playground.pictures import base64_of, picture
from tests.playground.raw_server import answer as answer_with
from tests.playground.raw_server import raw_server
from tests.playground.signed_picture import failures, signed
from tests.services import Simulator
from tests.tasks.jobs import claimed_job

READING_BYTES = 64_000_000


class Watched(Uploader):
    """Notes when a picture goes to the disk, and what room its answer has by then."""

    def watch(self, events: list[str], reading: ByteLimiter) -> None:
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
    with client_for(simulator.url, simulator.api_key) as client:
        yield client


def client_for(url: str, api_key: str | None = None) -> PlaygroundClient:
    """Make a patient client."""
    return PlaygroundClient(
        ClientSettings(
            url=url,
            api_key=api_key,
            connect_timeout_s=5.0,
            read_timeout_s=20.0,
            total_timeout_s=30.0,
            max_answer_bytes=10_000_000,
            pool_size=1,
        )
    )


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
    reading = ByteLimiter(READING_BYTES)
    uploads.watch(events, reading)
    api = ApiCall(client, reading=reading, decoding=threading.Semaphore(), recipe="off")
    verdict, _ = sent(api, uploads, job, request, on_end=lambda _: events.append("over"))
    assert reading.inside_bytes == 0
    return verdict.meaning, events


def sent(
    api: ApiCall,
    uploads: Uploader,
    job: Job,
    request: ImageRequest,
    *,
    on_end: Callable[[bool], None] = lambda _: None,
) -> tuple[Verdict, SpoolEntry | None]:
    """Send a call from a slot, as a job's run does, and keep its images."""
    gate = CallGate(1)
    assert gate.try_enter()

    unused = ("space", "control", "claims", "prepare", "failures")
    others: dict[str, Any] = dict.fromkeys(unused)
    images = KeepImages(uploads._writer._database, uploads, worker_id=uuid4())
    run = RunJob(api=api, images=images, **others)
    return run._send(PreparedCall(job, request, to_wire(request)), CallSlot(gate, Permit(on_end)))


def test_a_call_is_over_before_its_picture_is_on_the_disk(
    client: PlaygroundClient, uploads: Watched, database: Database
) -> None:
    """The next one need not wait for a disk, and of the answer only the picture is held."""
    request = check_request({"prompt": "a fox"}, RequestLimits())
    assert called(client, uploads, claimed_job(database), request) == (
        Meaning.RECEIVED,
        ["over", "spooled, picture in memory"],
    )


def test_a_call_that_failed_is_not_over_until_somebody_knows_why(
    client: PlaygroundClient, uploads: Watched, database: Database, simulator: Simulator
) -> None:
    """No call more may start before a 429 has slowed them all down."""
    simulator.put_faults([{"kind": "status", "status": 429, "rate": 1.0}])
    request = check_request({"prompt": "a fox"}, RequestLimits())
    meaning, events = called(client, uploads, claimed_job(database), request)
    assert meaning is not Meaning.RECEIVED
    assert events == []


def test_a_request_that_could_not_be_sent_was_not_paid(
    uploads: Watched, database: Database
) -> None:
    """No server listens there."""
    request = check_request({"prompt": "a fox"}, RequestLimits())
    with client_for(f"http://127.0.0.1:{free_port()}/v1") as client:
        meaning, events = called(client, uploads, claimed_job(database), request)
    assert (meaning, events) == (Meaning.NOT_PAID, [])


def test_a_picture_is_kept_though_the_end_of_its_call_could_not_be_noted(
    client: PlaygroundClient, uploads: Watched, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is paid for, whatever else went wrong."""
    request = check_request({"prompt": "a fox"}, RequestLimits())

    def fail(_is_spent: object) -> None:
        raise ZeroDivisionError("never heard of")

    uploads.watch([], ByteLimiter(READING_BYTES))
    job = claimed_job(database)
    verdict, entry = sent(call_of(client), uploads, job, request, on_end=fail)
    assert entry is not None
    assert verdict.images == ()
    assert "the end of a call could not be recorded" in caplog.text


def test_a_picture_that_the_disk_does_not_take_goes_to_the_bucket_at_once(
    client: PlaygroundClient, database: Database, bucket: ObjectStore, tmp_path: Path
) -> None:
    """Its job ends with it before the call's thread takes another."""
    spool = Spool(tmp_path / "small", max_bytes=1, fsync=False)
    uploads = Uploader(database=database, objects=bucket, spool=spool, threads=1, key_prefix="")
    job, request = claimed_job(database), check_request({"prompt": "a fox"}, RequestLimits())
    verdict, entry = sent(call_of(client), uploads, job, request)
    assert (verdict.meaning, entry) == (Meaning.RECEIVED, None)
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED
    spool.close()


def call_of(client: PlaygroundClient, recipe: RecipeMode = "off") -> ApiCall:
    """A call with all the room it may want."""
    reading = ByteLimiter(READING_BYTES)
    return ApiCall(client, reading=reading, decoding=threading.Semaphore(), recipe=recipe)


def stored(
    client: PlaygroundClient, uploads: Watched, job: Job, *, recipe: RecipeMode = "full"
) -> tuple[bytes, str]:
    """Make a call; return the picture in the spool, and the SHA-256 that the row gets."""
    uploads.watch([], ByteLimiter(READING_BYTES))
    request = check_request({"prompt": "a fox", "width": 64, "height": 64}, RequestLimits())
    verdict, entry = sent(call_of(client, recipe), uploads, job, request)
    assert entry is not None, verdict
    [image] = uploads.stored(entry)
    [data] = uploads._spool.read(entry)
    return data, image.sha256


@pytest.mark.parametrize("form", FORMS)
def test_an_untidily_wrapped_picture_is_kept_and_its_row_says_what_is_stored(
    client: PlaygroundClient, uploads: Watched, database: Database, simulator: Simulator, form: str
) -> None:
    """Over HTTP, as the simulator sends it: the picture alone is in the spool, with its SHA-256."""
    job = claimed_job(database)
    simulator.put_latency(0)
    simulator.put_faults([{"kind": "untidy", "form": form}])
    data, sha256 = stored(client, uploads, job, recipe="off")
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert data.startswith(b"\x89PNG")
    assert data.endswith(b"IEND\xae\x42\x60\x82")


@pytest.mark.parametrize("recipe", ["id", "full", "off"])
def test_a_signed_picture_is_stored_byte_for_byte(
    uploads: Watched, database: Database, recipe: RecipeMode
) -> None:
    """Its Content Credentials hold before and after; what was asked for is in the row alone."""
    picture_of_the_api = signed(picture(40, 30))
    assert failures(picture_of_the_api) == set()
    body = b'{"images":["%s"]}' % base64_of(picture_of_the_api).encode()
    with (
        raw_server(lambda conn, _: answer_with(conn, body)) as server,
        client_for(server.url) as client,
    ):
        data, sha256 = stored(client, uploads, claimed_job(database), recipe=recipe)
    assert data == picture_of_the_api
    assert sha256 == hashlib.sha256(picture_of_the_api).hexdigest()
    assert failures(data) == set()

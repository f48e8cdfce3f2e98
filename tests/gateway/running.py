"""A gateway that runs, as a test sees it: an address, and the table and the bucket behind it."""

import hashlib
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import requests
from fastapi import FastAPI
from PIL import Image

from gateway.listener import listen
from gateway.server import Server
from gateway.services import Services
from storage.db.database import Database
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError, StoredImage
from storage.records.object_keys import image_key
from tests.waiting import wait_until

WITHIN_S = 30


@dataclass(slots=True)
class Gateway:
    """A running gateway.

    Attributes:
        url: where it listens, without a slash at the end.
        services: what its routes work with.
        headers: sent with every request.
    """

    url: str
    services: Services
    headers: dict[str, str]

    @property
    def database(self) -> Database:
        """The results table."""
        return self.services.database

    def call(self, method: str, path: str, **how: Any) -> requests.Response:
        """One request; redirects are not followed."""
        headers = self.headers | (how.pop("headers", None) or {})
        how.setdefault("allow_redirects", False)
        return requests.request(method, self.url + path, headers=headers, timeout=WITHIN_S, **how)

    def get(self, path: str, **how: Any) -> requests.Response:
        """GET."""
        return self.call("GET", path, **how)

    def post(self, path: str, **how: Any) -> requests.Response:
        """POST."""
        return self.call("POST", path, **how)

    def submit(self, prompt: str = "a paper fox", **more: Any) -> UUID:
        """Submit a job over HTTP; return its id."""
        answer = self.post("/v1/jobs", json={"request": {"prompt": prompt}, **more})
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["id"])

    def claim(self, job_id: UUID) -> Job:
        """Take a job as a worker does."""
        job = claim_if_due(
            self.database, job_id, worker_id=uuid4(), token=uuid4(), call_deadline_s=60, max_calls=3
        )
        assert job is not None
        return job

    def succeed(self, job_id: UUID) -> Job:
        """End a job as a worker does, with a picture in row and bucket."""
        job = self.claim(job_id)
        data = picture()
        key = image_key("darkroom/", job_id, job.fence, 0)
        digest = hashlib.sha256(data).hexdigest()
        self.services.objects().put(key, data)
        image = StoredImage(0, key, digest, len(data), 64, 32)
        assert finish_if_held(self.database, job_id, fence=job.fence, images=[image])
        return get_job(self.database, job_id)

    def fail(self, job_id: UUID, code: str = "PROMPT_UNSAFE", **counted: Any) -> Job:
        """End a job as the API's refusal does."""
        error = JobError(code, "this topic is not drawn", "request")
        fence = self.claim(job_id).fence
        assert fail_if_held(
            self.database, job_id, fence=fence, outcome=CallOutcome(error, **counted)
        )
        return get_job(self.database, job_id)

    def count_jobs(self) -> int:
        """How many rows there are."""
        table = self.database.tables.jobs
        with self.database.read() as connection:
            return len(connection.execute(table.select()).all())


def picture() -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "darkorange").save(file, "PNG")
    return file.getvalue()


def serving(app: FastAPI) -> AbstractContextManager[str]:
    """Serve an app with the real server on a thread; its address."""
    return served(Server(app))


@contextmanager
def served(server: Server) -> Iterator[str]:
    """Run a server on a thread; its address."""
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WITHIN_S)
        listener.close()
        assert not thread.is_alive(), "the gateway did not stop"


def fields_of(answer: requests.Response) -> Sequence[str]:
    """The fields that a problem document complains of."""
    return [fault["field"] for fault in answer.json()["faults"]]

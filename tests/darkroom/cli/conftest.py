"""The command line as a process over real services, and jobs that end without a worker."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from PIL import Image
from uuid_utils.compat import uuid7

from chaos.fleet.forked import ForkedCommand
from storage.db.database import Database
from storage.intake.insert import insert_job
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError, NewJob, StoredImage
from storage.records.object_keys import image_key
from tests.services import S3Endpoint, Simulator

REPO = Path(__file__).parents[3]
ENDS_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; none may show a traceback, or colour what is no terminal."""

    status: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.err, self.err
        assert "\x1b" not in self.out + self.err

    @property
    def lines(self) -> list[str]:
        """What it remarked, a line each, without our name before them."""
        return [line.removeprefix("darkroom: ") for line in self.err.splitlines()]

    @property
    def json(self) -> Any:
        """Its one line of data."""
        return orjson.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """Its lines of data."""
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Started:
    """A command that runs."""

    process: ForkedCommand
    out: Path
    err: Path

    @property
    def printed(self) -> str:
        """What it has printed up to now."""
        return _read(self.out)

    @property
    def said(self) -> str:
        """What it has remarked up to now."""
        return _read(self.err)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.signal(signal.SIGINT)

    def end(self) -> Ran:
        """Wait for its end."""
        status = self.process.wait(ENDS_WITHIN_S)
        if status is None:
            self.process.kill()
            raise AssertionError(f"it did not end: {self.said}")
        return Ran(status, self.printed, self.said)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`darkroom …` in a folder, with nothing but these variables."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, given: bytes = b"", **more: str) -> Ran:
        """Run a command to its end; `more` are Darkroom's variables, by the names of settings."""
        return self.start(*words, given=given, **more).end()

    def start(self, *words: str, given: bytes = b"", **more: str) -> Started:
        """Start a command, from a process that has loaded our libraries already."""
        beside = Path(tempfile.mkdtemp(prefix="said-", dir=self.folder.parent))
        stdin, out, err = (beside / name for name in ("in", "out", "err"))
        stdin.write_bytes(given)
        process = ForkedCommand(
            words, self._variables(more), self.folder, out=out, err=err, given=stdin
        )
        return Started(process, out, err)

    def run_from_nothing(self, *words: str) -> Ran:
        """Run a command to its end as a shell would, in an interpreter of its own."""
        ran = subprocess.run(
            [sys.executable, "-m", "darkroom", *words],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        return self.env | {f"DARKROOM_{name.upper()}": value for name, value in more.items()}


def _read(path: Path) -> str:
    """What is in a file that may not be there yet."""
    return path.read_text("utf-8") if path.exists() else ""


def plain_environment() -> dict[str, str]:
    """No settings, no keys, no terminal."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONPATH": str(REPO),
        "LANG": "C.UTF-8",
        "TZ": "Europe/Berlin",
        "TERM": "dumb",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def bare(tmp_path: Path) -> CommandLine:
    """The command line where nothing is set."""
    return CommandLine(tmp_path, plain_environment())


@pytest.fixture
def tables(migrated_sqlite_url: str) -> Iterator[Database]:
    """The results table, made."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


@pytest.fixture
def at_table(bare: CommandLine, tables: Database, sqlite_url: str) -> CommandLine:
    """The command line with tables, and nothing else that answers."""
    assert tables.dialect == "sqlite"
    bare.env["DARKROOM_DATABASE_URL"] = sqlite_url
    bare.env["DARKROOM_BROKER_URL"] = "redis://127.0.0.1:1/0"
    return bare


@pytest.fixture
def darkroom(
    at_table: CommandLine, redis_url: str, s3: S3Endpoint, simulator: Simulator
) -> CommandLine:
    """The command line of a whole installation: every service real, and no worker."""
    at_table.env.update(
        DARKROOM_BROKER_URL=redis_url,
        DARKROOM_S3_BUCKET=s3.bucket,
        DARKROOM_S3_ENDPOINT_URL=s3.endpoint_url,
        DARKROOM_S3_ADDRESSING="path",
        DARKROOM_PLAYGROUND_URL=simulator.url,
        DARKROOM_PLAYGROUND_API_KEY=simulator.api_key,
        DARKROOM_CONCURRENCY="4",
        DARKROOM_SPOOL_MAX_BYTES="16000000",
        AWS_ACCESS_KEY_ID=s3.access_key_id,
        AWS_SECRET_ACCESS_KEY=s3.secret_access_key,
    )
    return at_table


@pytest.fixture
def objects(s3: S3Endpoint) -> Iterator[ObjectStore]:
    """The bucket."""
    store = s3.store()
    yield store
    store.close()


@pytest.fixture
def a_job(tables: Database) -> Callable[..., UUID]:
    """Makes a queued job."""

    def make(prompt: str = "a paper fox", **more: Any) -> UUID:
        request: Mapping[str, Any] = {"prompt": prompt, "seed": 7}
        new = NewJob(id=uuid7(), request=request, request_hash=prompt, **more)
        return insert_job(tables, new).job.id

    return make


@pytest.fixture
def picture() -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "darkorange").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def finish(tables: Database, picture: bytes) -> Callable[..., Job]:
    """Ends a job as a worker does: with a picture in the row, and in the bucket if one is given."""

    def end(job_id: UUID, objects: ObjectStore | None = None) -> Job:
        job = claim(tables, job_id)
        image = StoredImage(
            index=0,
            key=image_key("darkroom", job_id, job.fence, 0),
            sha256=hashlib.sha256(picture).hexdigest(),
            size_bytes=len(picture),
            width=64,
            height=32,
        )
        if objects is not None:
            objects.put(image.key, picture)
        assert finish_if_held(tables, job_id, fence=job.fence, images=[image])
        return get_job(tables, job_id)

    return end


@pytest.fixture
def refuse(tables: Database) -> Callable[[UUID], None]:
    """Ends a job as the API's refusal does."""

    def end(job_id: UUID) -> None:
        error = JobError("PROMPT_UNSAFE", "this topic is not drawn", "request")
        assert fail_if_held(
            tables, job_id, fence=claim(tables, job_id).fence, outcome=CallOutcome(error)
        )

    return end


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Waits until something is true, and returns it."""

    def wait(question: Callable[[], Any]) -> Any:
        deadline_s = time.monotonic() + ENDS_WITHIN_S
        while not (answer := question()):
            assert time.monotonic() < deadline_s, "it never came true"
            time.sleep(0.02)
        return answer

    return wait


def claim(database: Database, job_id: UUID) -> Job:
    """Take a job as a worker does."""
    job = claim_if_due(
        database, job_id, worker_id=uuid4(), token=uuid4(), call_deadline_s=60, max_calls=3
    )
    assert job is not None
    return job

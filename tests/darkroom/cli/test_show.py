"""`darkroom show`: all about a job, and its picture exactly as it was stored."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import requests

from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.job import Job
from storage.schema.revision import RELEASE
from tests.darkroom.cli.conftest import CommandLine, claim


def test_everything_of_a_job_is_shown(
    at_table: CommandLine, a_job: Callable[..., UUID], finish: Callable[..., Job]
) -> None:
    """State, request, seed, picture, calls, owner and times, each on a line with its name."""
    job = finish(a_job("a paper\nfox", owner="ann", metadata={"order": 17}, simulated=True))
    ran = at_table("show", str(job.id))
    facts = {line[:24].strip(): line[25:] for line in ran.out.splitlines()}
    assert ran.status == 0
    assert facts["job"] == f"{job.id} (simulated)"
    assert facts["status"] == "succeeded"
    assert facts["prompt"] == r"a paper\nfox"
    assert facts["seed"] == "7"
    assert facts["image"] == job.images[0].key
    assert facts["calls"] == "1 made"
    assert facts["owner"] == "ann"
    assert facts["metadata"] == '{"order":17}'
    assert facts["ended"].endswith(("CET", "CEST"))
    assert job.images[0].sha256 in ran.out


def test_json_has_every_column_but_the_claims_token_and_how_the_delivery_stands(
    at_table: CommandLine, a_job: Callable[..., UUID], refuse: Callable[[UUID], None]
) -> None:
    """A program gets what the table knows, with times in ISO form."""
    job_id = a_job()
    refuse(job_id)
    facts = at_table("show", str(job_id), "--json").json
    assert set(facts) == (set(Job.__slots__) - {"claim_token"}) | {"delivery"}
    assert facts["error"] == {
        "code": "PROMPT_UNSAFE",
        "message": "this topic is not drawn",
        "whose": "request",
    }
    assert facts["ended_at"].endswith("+00:00")


def test_a_picture_is_saved_as_it_was_stored(
    darkroom: CommandLine,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    objects: ObjectStore,
    picture: bytes,
) -> None:
    """The file holds the bytes whose SHA-256 the row has, and nothing is left beside it."""
    job = finish(a_job(), objects)
    folder = darkroom.folder / "pictures"
    folder.mkdir()
    ran = darkroom("show", str(job.id), "-o", "pictures/fox.png")
    assert (ran.status, ran.out) == (0, "pictures/fox.png\n")
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("fox.png", picture)]


def test_a_picture_that_was_altered_is_refused(
    darkroom: CommandLine,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    objects: ObjectStore,
    tmp_path: Path,
) -> None:
    """Bytes that are not those of the row are named, and no file is left of them."""
    job = finish(a_job(), objects)
    objects.put(job.images[0].key, b"something else")
    ran = darkroom("show", str(job.id), "-o", "fox.png")
    assert ran.status == 1
    assert ran.lines == [
        f"{job.images[0].key} in the bucket is not what was stored: SHA-256 differs"
    ]
    assert not (tmp_path / "fox.png").exists()


def test_a_link_opens_the_picture_without_a_key(
    darkroom: CommandLine,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    objects: ObjectStore,
    picture: bytes,
) -> None:
    """Any client that has the signed link gets the bytes."""
    ran = darkroom("show", str(finish(a_job(), objects).id), "--url")
    assert ran.status == 0
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(ran.out.strip(), timeout=10).content == picture


@pytest.mark.parametrize("wish", [["-o", "fox.png"], ["--url"]])
def test_a_job_that_is_not_finished_has_no_picture_yet(
    at_table: CommandLine, a_job: Callable[..., UUID], tables: Database, wish: list[str]
) -> None:
    """One line that says how far it is, and exit status 1."""
    job_id = a_job()
    claim(tables, job_id)
    ran = at_table("show", str(job_id), *wish)
    assert (ran.status, ran.out) == (1, "")
    assert ran.lines == [f"job {job_id} is not finished: running"]
    assert get_job(tables, job_id).status == "running"


def test_a_refused_job_says_why_it_has_no_picture(
    at_table: CommandLine, a_job: Callable[..., UUID], refuse: Callable[[UUID], None]
) -> None:
    """The API's reason is in the line."""
    job_id = a_job()
    refuse(job_id)
    ran = at_table("show", str(job_id), "-o", "fox.png")
    assert ran.status == 1
    assert ran.lines == [
        f"job {job_id} has no image: failed: PROMPT_UNSAFE: this topic is not drawn"
    ]


@pytest.mark.parametrize("command", ["show", "watch"])
def test_an_unknown_job_is_one_line(at_table: CommandLine, command: str) -> None:
    """Exit status 1, and one line with the unknown id."""
    stranger = str(uuid4())
    ran = at_table(command, stranger)
    assert (ran.status, ran.out, ran.lines) == (1, "", [f"there is no job {stranger}"])


def test_a_text_that_is_no_id_names_no_job(bare: CommandLine) -> None:
    """Nothing is asked of a database for it."""
    ran = bare("show", "17")
    assert (ran.status, ran.lines) == (1, ["there is no '17': an id is a UUID"])


def test_a_folder_that_cannot_be_written_is_named(
    darkroom: CommandLine,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    objects: ObjectStore,
) -> None:
    """The line says which file and which folder."""
    ran = darkroom("show", str(finish(a_job(), objects).id), "-o", "nowhere/fox.png")
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("-o nowhere/fox.png: the folder ")


def test_a_job_that_no_live_worker_can_serve_says_why_it_waits(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """In `show`, and as a warning of the doctor, until a worker of that release lives."""
    waiting, plain = str(a_job(needs_release=RELEASE + 1)), str(a_job())
    register_worker(tables, WorkerInfo(uuid4(), "here", 1, "0", 4, 600.0))
    [line] = [row for row in at_table("show", waiting).out.splitlines() if "waits for" in row]
    assert f"a newer release (number {RELEASE + 1})" in line
    assert "newer release" in at_table("show", waiting, "--json").json["waits_for"]
    assert "waits for" not in at_table("show", plain).out
    [warned] = [row for row in at_table("doctor").out.splitlines() if "waits for" in row]
    assert warned.split()[:5] == ["warn", "workers", "1", "job", "waits"]
    assert f"a newer release (number {RELEASE + 1})" in warned
    newer = WorkerInfo(uuid4(), "there", 2, "1", 4, 600.0, serves_release=RELEASE + 1)
    register_worker(tables, newer)
    assert "waits for" not in at_table("show", waiting).out
    assert "waits for" not in at_table("doctor").out

"""`darkroom submit`: checked whole, kept before anything else, and waited for if asked."""

import base64
from collections.abc import Callable
from typing import Any
from uuid import UUID

import redis

from storage.db.database import Database
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.queries.pages import list_jobs
from storage.records.job import Job
from tests.darkroom.cli.conftest import CommandLine
from tests.services.redis import RedisServer

EVERY_PARAMETER = {
    "negative_prompt": "fog",
    "filter_model": "Playground_v2.5",
    "width": 600,
    "height": 400,
    "num_inference_steps": 30,
    "guidance_scale": 5,
    "scheduler": "EULER_A",
    "seed": 4711,
    "strength": "0.35",
    "prompt_filter": "cinematic",
}


def test_a_job_is_kept_and_dispatched(
    darkroom: CommandLine, tables: Database, redis_url: str
) -> None:
    """The row is there with a seed, and a message is on its way."""
    ran = darkroom("submit", "a paper fox", "--json")
    job = get_job(tables, UUID(ran.json["id"]))
    assert ran.status == 0
    assert (job.status, job.request["prompt"]) == ("queued", "a paper fox")
    assert 0 < job.request["seed"] < 65536
    assert job.dispatched_at is not None
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen("darkroom.generate") == 1
    assert any("no worker is alive" in line for line in ran.lines)


def test_every_parameter_arrives(at_table: CommandLine, tables: Database) -> None:
    """What the options say is what will be sent, and what is kept with the job."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in EVERY_PARAMETER.items()]
    flags = ["--expand-prompt", "--verify-prompt-safety"]
    topics = ["--prompt-rejection-topic", "gambling", "--prompt-rejection-topic", "logos"]
    about = ["--owner=ann", "--priority=-3", '--metadata={"order": 17}', "--expires-in=2h"]
    ran = at_table("submit", "a paper fox", *words, *flags, *topics, *about)
    (job,) = list_jobs(tables)
    assert ran.status == 0
    assert ran.out == f"{job.id} queued, seed 4711\n"
    assert job.request == EVERY_PARAMETER | {
        "prompt": "a paper fox",
        "expand_prompt": True,
        "verify_prompt_safety": True,
        "prompt_rejection_topics": ["gambling", "logos"],
    }
    assert (job.owner, job.priority, job.metadata) == ("ann", -3, {"order": 17})
    assert job.expires_at is not None


def test_every_fault_has_its_line_and_nothing_is_kept(
    at_table: CommandLine, tables: Database
) -> None:
    """One call reports all that is wrong, whichever check finds it; exit status 2."""
    (at_table.folder / "sketch.png").write_bytes(b"no picture")
    wrong = {
        "width": "1000",
        "height": "tall",
        "num-inference-steps": "151",
        "scheduler": "BEST",
        "seed": "65536",
        "init-image": "sketch.png",
        "strength": "2",
        "prompt-filter": "nice",
        "priority": "high",
        "metadata": "{order}",
        "expires-in": "soon",
    }
    ran = at_table("submit", " ", *[f"--{name}={value}" for name, value in wrong.items()])
    assert (ran.status, ran.out) == (2, "")
    fields = {line.partition(" = ")[0] for line in ran.lines}
    own_names = {name.replace("-", "_") for name in wrong} - {"expires_in"}
    assert fields == own_names | {"prompt", "expires_in_s"}
    assert len(ran.lines) == len(fields)
    assert "height = 'tall': must be a whole number" in ran.err
    assert "init_image = 'sketch.png': must be base64 of an image" in ran.err
    assert list_jobs(tables) == []


def test_an_initial_image_that_is_not_there_is_a_fault_among_the_others(
    bare: CommandLine,
) -> None:
    """Neither hides the other, though no database is set."""
    ran = bare(
        "submit", "a fox", "--init-image=missing.png", "--seed=0", database_url="sqlite:///x"
    )
    assert ran.status == 2
    assert len(ran.lines) == 2
    assert "missing.png" in ran.err
    assert "No such file" in ran.err


def test_without_a_broker_the_job_is_kept(at_table: CommandLine, tables: Database) -> None:
    """The row is the job: it is accepted, and a line says what it waits for."""
    ran = at_table("submit", "a paper fox")
    (job,) = list_jobs(tables)
    assert ran.status == 0
    assert ran.out.startswith(f"{job.id} queued")
    assert job.dispatched_at is None
    assert any("broker" in line for line in ran.lines)


def test_a_broker_that_hangs_does_not_hold_a_job_up(
    at_table: CommandLine, tables: Database, redis_server: RedisServer
) -> None:
    """A server that takes connections and answers nothing is like one that is away."""
    redis_server.pause()
    ran = at_table("submit", "a paper fox", broker_url=redis_server.url)
    (job,) = list_jobs(tables)
    assert (ran.status, job.dispatched_at) == (0, None)


def test_the_same_key_is_the_same_job(at_table: CommandLine, tables: Database) -> None:
    """Submitted again it is found; another request under the key is refused."""
    first = at_table("submit", "a paper fox", "--key", "order-17")
    again = at_table("submit", "a paper fox", "--key", "order-17")
    other = at_table("submit", "a tin fox", "--key", "order-17")
    (job,) = list_jobs(tables)
    assert first.out == again.out
    assert "this job was submitted before: queued" in again.lines
    assert other.status == 1
    assert other.lines == [f"this idempotency key belongs to {job.id}, made from another request"]


def test_an_initial_image_goes_to_the_bucket(
    darkroom: CommandLine, tables: Database, objects: ObjectStore, picture: bytes
) -> None:
    """The row names its object and does not carry it."""
    (darkroom.folder / "sketch.png").write_bytes(picture)
    ran = darkroom("submit", "a fox", "--init-image", "sketch.png", "--strength", "0.5")
    (job,) = list_jobs(tables)
    assert ran.status == 0
    assert job.init_image_key is not None
    assert objects.get(job.init_image_key) == picture
    assert base64.b64encode(picture).decode() not in str(job.request)


def test_waiting_ends_with_the_picture_in_the_file(
    darkroom: CommandLine,
    tables: Database,
    objects: ObjectStore,
    finish: Callable[..., Job],
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """`-o` waits, downloads and checks; the job as it ended is on stdout."""
    waiting = darkroom.start("submit", "a paper fox", "-o", "fox.png", "--json")
    (job,) = eventually(lambda: list_jobs(tables))
    finish(job.id, objects)
    ran = waiting.end()
    assert ran.status == 0
    assert (ran.json["status"], ran.json["saved"]) == ("succeeded", ["fox.png"])
    picture = objects.get(ran.json["images"][0]["key"])
    assert (darkroom.folder / "fox.png").read_bytes() == picture


def test_waiting_for_a_job_that_fails_ends_with_1(
    at_table: CommandLine,
    tables: Database,
    refuse: Callable[[UUID], None],
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """The reason is reported where the picture would have been."""
    waiting = at_table.start("submit", "a paper fox", "--wait")
    (job,) = eventually(lambda: list_jobs(tables))
    refuse(job.id)
    ran = waiting.end()
    assert (ran.status, ran.out) == (1, "failed PROMPT_UNSAFE: this topic is not drawn\n")


def test_ctrl_c_while_waiting_leaves_the_job_alone(
    at_table: CommandLine,
    tables: Database,
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """Exit status 130, and how to look again; the job stays queued."""
    waiting = at_table.start("submit", "a paper fox", "--wait")
    eventually(lambda: "darkroom: queued" in waiting.said)
    waiting.interrupt()
    ran = waiting.end()
    (job,) = list_jobs(tables)
    assert ran.status == 130
    assert ran.lines[-1].endswith(f"Look again: darkroom watch {job.id}")
    assert job.status == "queued"


def test_a_file_that_cannot_be_written_costs_nothing(
    at_table: CommandLine, tables: Database
) -> None:
    """It is named before a job is made of the request."""
    ran = at_table("submit", "a paper fox", "-o", "nowhere/fox.png")
    assert ran.status == 1
    assert ran.lines[0].startswith("-o nowhere/fox.png: the folder ")
    assert list_jobs(tables) == []

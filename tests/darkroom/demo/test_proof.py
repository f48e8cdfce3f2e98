"""The demo's verdict finds what is wrong, and the plan touches nothing of anybody's."""

import hashlib
import io
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from PIL import Image

from darkroom.demo.plan import demo_plan
from darkroom.demo.prompts import demo_prompts, prompts_file
from darkroom.demo.proof import fetch, wrong_charges
from darkroom.errors import UserError
from darkroom.local.kind import prepare_table
from playground.request.vocabulary import MODELS
from storage.db.database import Database
from storage.errors import ObjectMissing
from storage.intake.insert import insert_job
from storage.objects.store import ObjectStore
from storage.records.job import Job, NewJob, StoredImage
from storage.records.states import JobStatus
from tasks.batches.reader import Line, LineFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def png(width: int = 64, height: int = 32) -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(out, "PNG")
    return out.getvalue()


class Shelf:
    """A bucket in memory."""

    def __init__(self, **objects: bytes) -> None:
        self._objects = objects

    def get(self, key: str) -> bytes:
        """What lies under a key."""
        if key not in self._objects:
            raise ObjectMissing(key)
        return self._objects[key]


def job(data: bytes, *, status: JobStatus = JobStatus.SUCCEEDED, seed: int = 1) -> Job:
    """A row whose picture is this one."""
    image = StoredImage(0, "key", hashlib.sha256(data).hexdigest(), len(data), 64, 32)
    nothing = dict.fromkeys(Job.__slots__)
    return Job(
        **nothing
        | {
            "id": uuid4(),
            "request": {"prompt": "a fox", "seed": seed, "width": 64, "height": 32},
            "status": status,
            "images": (image,) if status is JobStatus.SUCCEEDED else (),
            "simulated": True,
            "accepted_at": NOW,
        }  # type: ignore[arg-type]  # what a demo does not look at is left empty
    )


def differences(row: Job, **objects: bytes) -> str:
    """What the proof says of a row and a bucket."""
    _, wrong = fetch(cast("ObjectStore", Shelf(**objects)), row, simulated=True)
    return "; ".join(wrong)


def test_a_row_and_its_object_agree() -> None:
    """Nothing is said where nothing is wrong."""
    assert differences(job(png()), key=png()) == ""


def test_every_difference_is_told() -> None:
    """Missing, other bytes, cut short, of another size, or not marked as simulated."""
    row = job(png())
    assert "holds nothing" in differences(row)
    assert "SHA-256" in differences(row, key=png()[:-1] + b"x")
    assert "no whole PNG" in differences(row, key=png()[:-20])
    assert "asked for was 64x32" in differences(job(png(32, 32)), key=png(32, 32))
    assert "simulated=False" in differences(replace(row, simulated=False), key=png())
    assert "has 0 pictures" in differences(replace(row, images=()), key=png())


def test_a_call_too_many_or_too_few_is_told() -> None:
    """One charge for each delivered picture, none for a refused one."""
    made, refused = job(png(), seed=1), job(png(), seed=2, status=JobStatus.FAILED)
    charged = Counter({("a fox", 1): 1, ("somebody else's", 9): 7})
    assert wrong_charges(charged, [made, refused], Counter()) == []
    assert (
        "2 calls charged, 1 pictures"
        in wrong_charges(Counter({("a fox", 1): 2}), [made], Counter())[0]
    )
    assert "0 calls charged, 1 pictures" in wrong_charges(Counter(), [made], Counter())[0]
    assert (
        "1 calls charged, 0 pictures"
        in wrong_charges(Counter({("a fox", 2): 1}), [refused], Counter())[0]
    )


def test_calls_for_an_interrupted_run_are_not_held_against_this_one() -> None:
    """The same prompt and seed, left over from before, is paid for now."""
    left_over = Counter({("a fox", 1): 1})
    assert wrong_charges(Counter({("a fox", 1): 2}), [job(png())], left_over) == []


def test_the_demos_prompts_show_what_there_is() -> None:
    """24 good ones over all models, several looks, sizes and samplers; two to be refused."""
    with prompts_file().open("rb") as stream:
        lines = [line.fields for line in LineFile(stream, "jsonl") if isinstance(line, Line)]
    prompts = demo_prompts(prompts_file())
    assert len([prompt for prompt in prompts if not prompt.is_refused]) == 24
    assert [prompt.is_call for prompt in prompts if prompt.is_refused] == [True, False]
    assert len({prompt.name for prompt in prompts}) == len(prompts) == len(lines)
    assert {line.get("filter_model", "Playground_v3") for line in lines} == set(MODELS)
    assert len({line.get("prompt_filter") for line in lines}) > 15
    assert len({line.get("scheduler") for line in lines}) > 8
    assert len({(line.get("width"), line.get("height")) for line in lines}) > 8
    assert sum("init_image" in line for line in lines) == 1


def test_the_demo_uses_nothing_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A production bucket or database in the environment stays out of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKROOM_S3_BUCKET", "production")
    monkeypatch.setenv("DARKROOM_PLAYGROUND_API_KEY", "secret")
    plan = demo_plan(tmp_path, real=False)
    assert plan.s3_bucket is plan.database_url is plan.broker_url is plan.playground_url is None
    assert not [name for name in plan.environment if name.startswith("DARKROOM_")]


def test_a_real_demo_takes_along_what_is_about_the_api_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The key reaches the workers; bucket, table and broker are the demo's own still."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKROOM_S3_BUCKET", "production")
    monkeypatch.setenv("DARKROOM_EXTRA_MODELS", "One,Two")
    monkeypatch.setenv("DARKROOM_PLAYGROUND_API_KEY", "secret")
    plan = demo_plan(tmp_path, real=True)
    ours = {name for name in plan.environment if name.startswith("DARKROOM_")}
    assert plan.environment["DARKROOM_PLAYGROUND_API_KEY"] == "secret"
    assert plan.environment["DARKROOM_EXTRA_MODELS"] == "One,Two"
    assert "DARKROOM_S3_BUCKET" not in ours
    assert plan.s3_bucket is plan.database_url is plan.broker_url is None
    assert plan.playground_url is not None


@pytest.mark.parametrize("simulated", [True, False])
def test_what_the_simulator_was_to_make_is_never_paid_for(
    tmp_path: Path, *, simulated: bool
) -> None:
    """A folder with jobs of one kind is refused for the other, before any worker starts."""
    variables = {"DARKROOM_DATABASE_URL": f"sqlite:///{tmp_path / 'darkroom.db'}"}
    prepare_table(variables, simulated=simulated)
    database = Database(variables["DARKROOM_DATABASE_URL"])
    request = {"prompt": "a fox", "seed": 1}
    insert_job(database, NewJob(uuid4(), request, "hash", simulated=simulated))
    database.close()
    prepare_table(variables, simulated=simulated)
    with pytest.raises(UserError, match="--data-dir"):
        prepare_table(variables, simulated=not simulated)


def test_a_real_demo_with_a_local_stacks_settings_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The demo must not announce paid calls that the simulator would answer."""
    monkeypatch.setenv("DARKROOM_PLAYGROUND_API_KEY", "simulated")
    monkeypatch.setenv("DARKROOM_SIMULATED", "1")
    with pytest.raises(UserError, match="DARKROOM_SIMULATED"):
        demo_plan(tmp_path, real=True)


def test_a_real_demo_without_a_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One line that names the variable."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="DARKROOM_PLAYGROUND_API_KEY"):
        demo_plan(tmp_path, real=True)

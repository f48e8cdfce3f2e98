"""`darkroom forget` as a process: what it deletes, what it asks, and what it prints.

The rules are tested in `tests/tasks/bulk/test_delete_many.py`.
"""

import os
import re
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast
from uuid import UUID, uuid4

import orjson
import pytest
import typer
from sqlalchemy import text

from darkroom.checks.deletions import check_deletions
from darkroom.cli.common import context as opened
from darkroom.cli.jobs import first_deletion as first_try
from darkroom.cli.jobs.forget import forget
from darkroom.wiring.factory import Wiring
from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.errors import ObjectMissing
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from storage.queries.pages import list_jobs
from storage.records.job import Job
from storage.retention.delete import forget_jobs
from storage.retention.requeue import requeue_refused
from tasks.storing.object_deleter import ObjectDeleter
from tests.darkroom.cli.conftest import CommandLine, claim

AJob = Callable[..., UUID]
Finish = Callable[..., Job]
Finished = Callable[[str, int], list[Job]]


def test_jobs_by_id_go_with_their_objects(
    darkroom: CommandLine, a_job: AJob, finish: Finish, objects: ObjectStore
) -> None:
    """It says what is under way or none at all, deletes at once, and `show` says what became."""
    made, running, nobodys = finish(a_job("secret"), objects), a_job("busy"), uuid4()
    database = Database(darkroom.env["DARKROOM_DATABASE_URL"])
    claim(database, running)
    database.close()
    refused = darkroom("forget", str(made.id))
    assert (refused.status, refused.lines) == (
        2,
        ["nothing was forgotten: add --yes for 1 job"],
    )
    done = darkroom("forget", str(made.id), str(running), str(nobodys), "--yes", "--json")
    assert done.status == 1
    assert done.json == {
        "dry_run": False,
        "forgotten": 1,
        "cancelled": 0,
        "forgotten_before": 0,
        "under_way": 1,
        "missing": [str(nobodys)],
        "objects_left": 0,
        "complete": True,
    }
    assert f"job {running} is under way: cancel it" in done.err
    with pytest.raises(ObjectMissing):
        objects.get(made.images[0].key)
    shown = darkroom("show", str(made.id))
    assert (shown.status, "was forgotten at" in shown.err) == (1, True)
    again = darkroom("forget", str(made.id), "--yes")
    assert (again.status, again.out) == (0, "0 forgotten; 1 had been before\n")
    assert "deletions" in darkroom("doctor").out


def test_many_go_by_owner_batch_and_age(
    at_table: CommandLine, a_job: AJob, finish: Finish, tables: Database
) -> None:
    """A dry run counts the same; without a bucket the objects are left to the workers."""
    batch, _ = create_batch(tables, id=uuid4())
    old = [finish(a_job(f"old {n}", owner="shop")).id for n in range(3)]
    a_job("of a batch", batch_id=batch.id)
    open_batch(tables, batch.id, 1)
    young, waiting = finish(a_job("young", owner="shop")).id, a_job("waits", owner="shop")
    with tables.begin() as connection:
        named = ", ".join(f"'{job_id}'" for job_id in old)
        long_ago = "accepted_at = '2025-01-01 00:00:00.000000'"
        change = f"UPDATE darkroom_jobs SET {long_ago}, ended_at = '2025-01-02 00:00:00.000000'"  # noqa: S608 - our own words
        connection.execute(text(f"{change} WHERE id IN ({named})"))
    aged = ("forget", "--owner", "shop", "--older-than", "90d")
    assert at_table(*aged, "--dry-run").out == "3 would be forgotten\n"
    done = at_table(*aged, "--yes")
    assert "3 forgotten; 3 objects are still to be deleted" in done.out
    assert "left to the workers" in done.err
    of_batch = at_table("forget", "--batch", str(batch.id), "--yes")
    assert of_batch.out.startswith("1 forgotten; 1 of them had not begun")
    left = {job.id for job in list_jobs(tables)}
    assert left == {young, waiting}


def test_the_doctor_tells_the_objects_that_failed_from_those_that_wait(
    tables: Database, a_job: AJob, finish: Finish
) -> None:
    """One that may not be deleted is not said of all."""
    jobs = [finish(a_job(f"{n}")) for n in range(3)]
    forget_jobs(tables, [job.id for job in jobs], key_prefix="")
    whys = {jobs[0].images[0].key: "no right to it"}
    requeue_refused(tables, whys, first_wait_s=5, longest_wait_s=5)
    [finding] = check_deletions(cast("Wiring", SimpleNamespace(database=tables)))
    assert re.fullmatch(
        r"3 objects of forgotten jobs wait since .* UTC; 1 of them failed to go: no right to it",
        finding.text,
    )


class Bucket(ObjectStore):
    """An object store that can simulate Ctrl-C while an object is being deleted."""

    def __init__(self) -> None:
        super().__init__(StoreSettings(bucket="watched"))
        self.deleted: list[str] = []
        self.is_pressed = False

    def delete(self, key: str) -> None:
        """Kept in mind."""
        self.deleted.append(key)
        if self.is_pressed:
            self.is_pressed = False
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def bucket(tables: Database, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Of an installation in this process."""
    watched = Bucket()
    sweep = ObjectDeleter(tables, lambda: watched)
    wiring = SimpleNamespace(database=tables, key_prefix="", sweep=sweep)
    monkeypatch.setattr(opened, "opened", lambda: wiring)
    return watched


@pytest.fixture
def finished(a_job: AJob, finish: Finish) -> Finished:
    """Makes so many jobs of an owner, each with an image."""
    return lambda owner, count: [finish(a_job(f"{n}", owner=owner)) for n in range(count)]


def test_a_ctrl_c_while_objects_are_deleted_takes_nothing_from_the_report(
    finished: Finished, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command always reports what cannot be undone, and that the workers do the rest."""
    jobs = finished("shop", 3)
    bucket.is_pressed = True
    with pytest.raises(typer.Exit) as ended:
        forget(owner="shop", yes=True, as_json=True)
    said = capsys.readouterr()
    told = orjson.loads(said.out)
    assert ended.value.exit_code == 130
    assert (told["forgotten"], told["complete"], told["objects_left"]) == (3, True, None)
    assert "the workers do the rest" in said.err
    assert sorted(bucket.deleted) == sorted(job.images[0].key for job in jobs)


def test_a_first_try_is_short_and_the_rest_is_the_workers(
    tables: Database,
    finished: Finished,
    bucket: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Objects of the first jobs of this command, and none that others have forgotten."""
    monkeypatch.setattr(first_try, "FIRST_JOBS", 2)
    forget_jobs(tables, [job.id for job in finished("museum", 1)], key_prefix="")
    jobs = finished("shop", 5)
    with pytest.raises(typer.Exit) as ended:
        forget(owner="shop", yes=True)
    assert ended.value.exit_code == 0
    said = capsys.readouterr().out
    assert said == "5 forgotten; 4 objects are still to be deleted, by the workers\n"
    assert len(bucket.deleted) == 2
    assert set(bucket.deleted) < {job.images[0].key for job in jobs}


@pytest.mark.parametrize("arguments", [(), (str(uuid4()), "--owner", "shop")])
def test_what_could_mean_too_much_is_refused(
    at_table: CommandLine, arguments: tuple[str, ...]
) -> None:
    """Neither nothing nor both."""
    done = at_table("forget", *arguments)
    assert (done.status, done.lines) == (
        2,
        ["forget what? Give job ids, or --batch, --owner, --older-than"],
    )


def test_an_owners_jobs_reuse_pictures_where_that_is_set(
    darkroom: CommandLine, finish: Finish
) -> None:
    """And `show` names the job that a picture is from."""
    assert "reuses pictures" in darkroom("owners", "set", "shop", "--reuse").out
    assert darkroom("owners", "list", "--json").json["reuse"] is True
    submit = ("submit", "a fox", "--seed", "7", "--owner", "shop", "--json")
    first = darkroom(*submit).json
    assert first["status"] == "queued"
    finish(UUID(first["id"]))
    second = darkroom(*submit).json
    assert (second["status"], second["reused_from"]) == ("succeeded", first["id"])
    assert f"reused from              {first['id']}" in darkroom("show", second["id"]).out
    assert darkroom(*submit, "--no-reuse").json["status"] == "queued"
    assert darkroom("owners", "set", "shop", "--no-reuse").status == 0
    assert darkroom("owners", "list", "--json").json["reuse"] is False


def test_a_job_of_a_loading_batch_stays(
    at_table: CommandLine, a_job: AJob, tables: Database
) -> None:
    """Exit status 1, and why."""
    batch, _ = create_batch(tables, id=uuid4())
    line = a_job("of a batch", batch_id=batch.id)
    done = at_table("forget", str(line), "--yes")
    assert (done.status, done.out) == (1, "0 forgotten\n")
    assert done.lines == [
        f"the batch of job {line} is still loading: forget the job when it is loaded"
    ]


def test_a_missing_sqlite_file_is_not_made_by_looking_for_it(bare: CommandLine) -> None:
    """The line says that there are no tables, and there still is no file."""
    file = bare.folder / "missing.db"
    done = bare("list", database_url=f"sqlite:///{file}", broker_url="redis://127.0.0.1:1/0")
    assert done.status == 1
    assert "no Darkroom tables" in done.err
    assert not file.exists()

"""`darkroom verify`: rows and bucket compared, and repaired only by who agreed to the price."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from storage.db.database import Database
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.job import Job
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tests.darkroom.cli.conftest import CommandLine
from tests.darkroom.cli.test_retry import on_terminal
from tests.services import S3Endpoint

Finish = Callable[..., Job]


@pytest.fixture
def at_bucket(at_table: CommandLine, s3: S3Endpoint) -> CommandLine:
    """The command line with tables and a bucket."""
    at_table.env.update(
        DARKROOM_S3_BUCKET=s3.bucket,
        DARKROOM_S3_ENDPOINT_URL=s3.endpoint_url,
        DARKROOM_S3_ADDRESSING="path",
        AWS_ACCESS_KEY_ID=s3.access_key_id,
        AWS_SECRET_ACCESS_KEY=s3.secret_access_key,
    )
    return at_table


def test_rows_and_bucket_that_agree_are_well(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish, objects: ObjectStore
) -> None:
    """Exit status 0, and how many objects were compared."""
    for _ in range(3):
        finish(a_job(), objects)
    for depth in ([], ["--deep"]):
        ran = at_bucket("verify", "--all", "--orphans", *depth)
        assert (ran.status, ran.out) == (0, "6 objects compared: no difference\n")


def test_differences_are_listed_with_exit_status_1(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish, objects: ObjectStore
) -> None:
    """A line each, with job and key; as JSON in one document."""
    missing, damaged = finish(a_job()), finish(a_job(), objects)
    finish(a_job(), objects)
    picture = objects.get(damaged.images[0].key)
    objects.put(damaged.images[0].key, picture[:-1] + b"x")
    shallow = at_bucket("verify", "--all")
    assert shallow.status == 1
    first, last = shallow.out.splitlines()
    assert first.split()[:3] == ["missing", str(missing.id), missing.images[0].key]
    assert last == "3 objects compared: 1 missing"
    deep = at_bucket("verify", "--all", "--deep", "--json")
    assert deep.status == 1
    assert {(one["kind"], one["job"]) for one in deep.json["differences"]} == {
        ("missing", str(missing.id)),
        ("sha256", str(damaged.id)),
    }
    assert (deep.json["objects"], deep.json["complete"], deep.json["next"]) == (3, True, None)


def test_filters_choose_the_jobs(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish
) -> None:
    """By owner and time; without any, it asks which jobs to select."""
    mine = finish(a_job("a", owner="shop"))
    finish(a_job("b"))
    ran = at_bucket("verify", "--owner", "shop", "--since", "1h", "--json")
    assert [one["job"] for one in ran.json["differences"]] == [str(mine.id)]
    for words in ([], ["--all", "--owner", "shop"], ["--all", "--after", "nowhere"]):
        ran = at_bucket("verify", *words)
        assert (ran.status, ran.out) == (2, "")


def test_a_run_goes_on_after_the_point_that_a_stopped_one_named(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish
) -> None:
    """Rows up to the point are not compared again; the listing comes after the rows."""
    jobs = [finish(a_job(str(n))) for n in range(3)]
    point = f"row:{jobs[0].accepted_at.isoformat()}/{jobs[0].id}"
    ran = at_bucket("verify", "--all", "--after", point, "--json")
    assert [one["job"] for one in ran.json["differences"]] == [str(job.id) for job in jobs[1:]]
    ran = at_bucket("verify", "--all", "--orphans", "--after", "key:", "--json")
    assert (ran.status, ran.json["objects"]) == (0, 0)


def test_a_store_that_does_not_answer_ends_the_run_with_what_is_known(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish
) -> None:
    """Exit status 1, and how to go on; a store that refuses is not taken for missing objects."""
    finish(a_job())
    at_bucket.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    ran = at_bucket("verify", "--all", "--json")
    assert (ran.status, ran.json["differences"], ran.json["complete"]) == (1, [], False)
    assert "begins anew" in ran.lines[-2]


def test_a_repair_searches_the_spools_first_and_costs_nothing(
    at_bucket: CommandLine,
    a_job: Callable[..., UUID],
    finish: Finish,
    objects: ObjectStore,
    picture: bytes,
) -> None:
    """The command does not ask for confirmation, as nothing is paid for."""
    job = finish(a_job())
    spool = Spool(at_bucket.folder / "darkroom-spool", max_bytes=10**6, fsync=False)
    spool.write(job.id, job.fence, [SpooledImage([picture], width=64, height=32)])
    ran = at_bucket("verify", "--all", "--repair")
    assert ran.status == 0
    assert ran.out.splitlines()[-1] == "1 put again, 0 jobs queued again"
    assert objects.get(job.images[0].key) == picture
    spool.close()


def test_a_repair_says_what_it_may_cost_and_wants_a_yes(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish, tables: Database
) -> None:
    """With no terminal to ask on, nothing is retried: exit status 2, and what would agree."""
    job = finish(a_job())
    ran = at_bucket("verify", "--all", "--repair", "--json")
    assert (ran.status, ran.json["retried"], ran.json["unresolved"]) == (2, 0, 1)
    assert "1 paid for already would be called again" in ran.lines
    assert "to retry costs 1 paid calls if all goes well, 3 at most" in ran.lines
    assert "--yes" in ran.lines[-1]
    assert get_job(tables, job.id).status is JobStatus.SUCCEEDED
    ran = at_bucket("verify", "--all", "--repair", "--yes", "--json")
    assert (ran.status, ran.json["retried"], ran.json["unresolved"]) == (0, 1, 0)
    assert get_job(tables, job.id).status is JobStatus.QUEUED


def test_on_a_terminal_it_asks(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish, tables: Database
) -> None:
    """A no leaves everything as it was; a yes queues."""
    job = finish(a_job())
    assert on_terminal(at_bucket, "n\n", "verify", "--all", "--repair") == 1
    assert get_job(tables, job.id).status is JobStatus.SUCCEEDED
    assert on_terminal(at_bucket, "y\n", "verify", "--all", "--repair") == 0
    assert get_job(tables, job.id).status is JobStatus.QUEUED


def test_a_young_object_without_a_row_is_no_orphan_yet(
    at_bucket: CommandLine, objects: ObjectStore
) -> None:
    """A put comes before its row."""
    objects.put("darkroom/images/x/1-0.png", b"x")
    ran = at_bucket("verify", "--orphans", "--json")
    assert (ran.status, ran.json["objects"], ran.json["differences"]) == (0, 1, [])


def test_a_spool_that_is_not_there_is_no_fault(
    at_bucket: CommandLine, a_job: Callable[..., UUID], finish: Finish, tmp_path: Path
) -> None:
    """A machine without a worker has none."""
    finish(a_job())
    ran = at_bucket("verify", "--all", "--repair", "--yes", spool_dir=str(tmp_path / "none"))
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "0 put again, 1 jobs queued again")

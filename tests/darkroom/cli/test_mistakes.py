"""What is set wrong, or is away, is one line with the setting and the address, never a secret."""

from pathlib import Path

import pytest
from sqlalchemy import text

from storage.db.database import Database
from storage.queries.pages import list_jobs
from tests.darkroom.cli.conftest import CommandLine

SECRET = "hunter2"


def test_no_database_is_named(bare: CommandLine) -> None:
    """The variable and an example of its value; exit status 1."""
    ran = bare("list")
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("DARKROOM_DATABASE_URL is not set: ")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"postgresql+psycopg://ann:{SECRET}@127.0.0.1:1/jobs", "ann:***@127.0.0.1:1/jobs"),
        (f"mysql://ann:{SECRET}@db/jobs", "mysql://ann:***@db/jobs"),
        ("sqlite:////nowhere/at/all/jobs.db", "/nowhere/at/all"),
        (f"no address, but {SECRET}", "no SQLAlchemy URL"),
    ],
)
def test_a_database_that_is_not_there_is_named(bare: CommandLine, url: str, told: str) -> None:
    """Variable and address; its password is masked."""
    ran = bare("list", database_url=url)
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("DARKROOM_DATABASE_URL: ")
    assert told in ran.lines[0]
    assert SECRET not in ran.out + ran.err


def test_missing_tables_are_told_with_their_cure(bare: CommandLine, sqlite_url: str) -> None:
    """The address, and `darkroom migrate`."""
    ran = bare("list", database_url=sqlite_url)
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert sqlite_url in ran.lines[0]
    assert "darkroom migrate" in ran.lines[0]


@pytest.mark.parametrize("revision", ["0000", "0099"])
def test_tables_of_another_release_are_told(
    at_table: CommandLine, tables: Database, sqlite_url: str, revision: str
) -> None:
    """Older or much newer ones are not worked on."""
    with tables.begin() as connection:
        connection.execute(
            text("UPDATE darkroom_schema_version SET version_num = :r"), {"r": revision}
        )
    ran = at_table("submit", "a paper fox")
    assert ran.status == 1
    assert ran.lines[0].startswith(f"DARKROOM_DATABASE_URL: {sqlite_url}: ")
    assert revision in ran.lines[0]


def test_faulty_settings_are_all_told_at_once(bare: CommandLine) -> None:
    """Names and values, but no secret; exit status 2."""
    ran = bare("list", concurrency="none", lease_s="-1", playground_api_key_file="/nowhere/key")
    assert ran.status in {1, 2}
    assert len(ran.lines) == 1
    ran = bare("list", concurrency="none", lease_s="-1")
    assert ran.status == 2
    assert "DARKROOM_CONCURRENCY='none'" in ran.lines[0]
    assert "DARKROOM_LEASE_S='-1'" in ran.lines[0]


def test_no_bucket_is_named(darkroom: CommandLine, picture: bytes) -> None:
    """A request with an initial image wants a bucket that is there."""
    (darkroom.folder / "sketch.png").write_bytes(picture)
    ran = darkroom("submit", "a fox", "--init-image", "sketch.png", s3_bucket="no-such-bucket")
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("DARKROOM_S3_BUCKET: ")
    assert "no-such-bucket" in ran.lines[0]


def test_a_worker_without_a_broker_says_so(darkroom: CommandLine) -> None:
    """The worker's own look at things is one line, too."""
    ran = darkroom("worker", broker_url=f"redis://:{SECRET}@127.0.0.1:1/0")
    assert ran.status == 1
    assert ran.lines[-1].startswith("DARKROOM_BROKER_URL: no broker at redis://:**@127.0.0.1:1/0")
    assert SECRET not in ran.out + ran.err


def test_a_worker_with_a_refused_key_says_so(darkroom: CommandLine) -> None:
    """It does not start, and no call is made to find out."""
    ran = darkroom("worker", playground_api_key=SECRET)
    assert ran.status == 1
    assert ran.lines[-1].startswith("DARKROOM_PLAYGROUND_API_KEY: refused by http://127.0.0.1:")
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize("command", [["worker"], ["submit", "a paper fox"]])
def test_another_broker_than_we_know_is_named(
    at_table: CommandLine, tables: Database, command: list[str]
) -> None:
    """An unknown scheme causes no traceback, and no job is made before it is found out."""
    ran = at_table(*command, broker_url=f"pigeon://ann:{SECRET}@loft")
    assert ran.status == 2
    assert ran.lines[-1].startswith("settings: DARKROOM_BROKER_URL: ")
    assert SECRET not in ran.out + ran.err
    assert list_jobs(tables) == []


def test_a_folder_with_packages_of_our_names_is_no_matter(at_table: CommandLine) -> None:
    """Started from another project's folder, Darkroom runs its own packages."""
    for name in ("tasks", "storage", "workers", "playground", "simulator"):
        package: Path = at_table.folder / name
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('a stranger was imported')")
        (package / "__main__.py").write_text("raise RuntimeError('a stranger was run')")
    assert at_table.run_from_nothing("list").status == 0
    answer = at_table.run_from_nothing("simulator", "--port", "99999")
    assert answer.status == 1
    assert answer.err.startswith("simulator: cannot listen on 127.0.0.1:99999")

"""What the operator's page says to type does what the page says."""

import json
import re
import shlex
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import botocore.session
import pytest
from botocore.validate import ParamValidator
from typer.main import get_command

from darkroom.cli import app
from darkroom.cli.jobs.first_deletion import FIRST_JOBS
from darkroom.settings import Settings
from gateway.auth import intake_limits as limits
from gateway.auth import keys
from storage.errors import JobForgotten
from storage.jobs.adopt import adopt_image
from storage.records.object_keys import image_key, init_image_key
from storage.records.states import JobStatus
from storage.retention.delete import forget_jobs
from storage.retention.deletion_queue import INIT_GRACE_S
from tasks.execution.recover_stored import RecoverStored
from tasks.storing.object_deleter import LONGEST_REFUSED_S
from tasks.storing.spool_space import BYTES_PER_CALL
from tests.docs.conftest import blocks
from tests.services import S3Endpoint
from tests.storage.table import TableUnderTest, picture
from workers.starvation_watchdog import EVERY_S, LOOKS

ROOT = Path(__file__).resolve().parents[2]
LONG_AGO, RECENTLY = "2025-06-01 00:00:00.000000", "2026-06-01 00:00:00.000000"
#: The smallest picture.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c494441"
    "54789c63606060000000040001f61738550000000049454e44ae426082"
)


def run(table: TableUnderTest, page: str, name: str) -> int:
    """Run the statement of this name as the page has it; how many rows it changed."""
    [statement] = [block for block in blocks(page, "sql") if block.startswith(f"-- {name}\n")]
    if table.db.dialect == "sqlite":
        statement = statement.replace("darkroom.", "darkroom_")
    with table.db.begin() as connection:
        return connection.exec_driver_sql(statement).rowcount


def change(table: TableUnderTest, statement: str) -> None:
    """Run an UPDATE by hand."""
    with table.db.begin() as connection:
        connection.exec_driver_sql(statement)


def view(table: TableUnderTest) -> set[UUID]:
    """Jobs that the users' own SQL sees."""
    name = "darkroom.results_v1" if table.db.dialect == "postgresql" else "darkroom_results_v1"
    return {UUID(str(row[0])) for row in table.sql(f"SELECT id FROM {name}")}  # noqa: S608 - as above


def test_old_tombstones_are_deleted_and_young_ones_stay(
    table: TableUnderTest, operations: str
) -> None:
    """With its tombstone an id is free again; until then it is not."""
    old, young = (table.finished(table.accept()).id for _ in range(2))
    forget_jobs(table.db, [old, young], key_prefix="")
    prefix = "darkroom." if table.db.dialect == "postgresql" else "darkroom_"
    for job_id, moment in ((old, LONG_AGO), (young, RECENTLY)):
        stone = f"UPDATE {prefix}tombstones SET forgotten_at = '{moment}' WHERE id = '{job_id}'"  # noqa: S608 - our own words
        change(table, stone)
    assert run(table, operations, "old tombstones") == 1
    assert run(table, operations, "old tombstones") == 0
    assert table.accept(id=old) == old
    with pytest.raises(JobForgotten):
        table.accept(id=young)


def test_a_batch_goes_with_its_last_job(table: TableUnderTest, operations: str) -> None:
    """Not before it: its other jobs would vanish from the view."""
    batch_id, jobs = table.batch(2)
    for job_id in jobs:
        table.finished(job_id)
    prefix = "darkroom." if table.db.dialect == "postgresql" else "darkroom_"
    change(table, f"UPDATE {prefix}batches SET closed_at = '{LONG_AGO}'")  # noqa: S608 - our own words
    forget_jobs(table.db, jobs[:1], key_prefix="")
    assert run(table, operations, "old batches without jobs") == 0
    assert view(table) == {jobs[1]}
    forget_jobs(table.db, jobs[1:], key_prefix="")
    assert run(table, operations, "old batches without jobs") == 1
    assert view(table) == set()
    assert table.sql(f"SELECT id FROM {prefix}batches WHERE id = '{batch_id}'") == []  # noqa: S608 - as above


def test_what_the_page_says_of_waiting_is_so(operations: str) -> None:
    """A quarter of an hour, as the code has it, and an hour; and how many are tried at once."""
    assert (INIT_GRACE_S, LONGEST_REFUSED_S) == (900, 3600)
    text = " ".join(operations.split())
    assert "tried again within the hour" in text
    assert f"those of its first {FIRST_JOBS:,} jobs" in text
    assert "a quarter of an hour after the last job that used it" in text


def test_no_table_refers_to_the_rows_that_are_deleted(table: TableUnderTest) -> None:
    """So a delete locks and looks up nothing elsewhere."""
    assert [
        key for each in table.db.tables.metadata.tables.values() for key in each.foreign_keys
    ] == []


def test_after_a_restore_a_forgotten_image_in_a_spool_finishes_its_job(
    table: TableUnderTest, operations: str
) -> None:
    """Under a fence that the row has never heard of, and after the statements all the same."""
    waiting, held = table.accept(), table.claimed(table.accept()).id
    assert run(table, operations, "after a restore: what waits") == 1
    assert run(table, operations, "after a restore: what was held by a worker") == 1
    for job_id in (waiting, held):
        assert adopt_image(table.db, job_id, fence=3, images=picture(job_id, fence=3))
        assert table.status(job_id) is JobStatus.SUCCEEDED


def test_after_a_restore_a_forgotten_object_is_found_before_a_second_call(
    table: TableUnderTest, operations: str, s3: S3Endpoint
) -> None:
    """It was put under the first fence, and the backup knows of no claim."""
    objects = s3.store()
    earlier = RecoverStored(table.db, objects, key_prefix="darkroom/")
    job_id = table.accept()
    objects.put(image_key("darkroom/", job_id, 1, 0), PNG, "image/png")
    assert run(table, operations, "after a restore: what waits") == 1
    job = table.claimed(job_id)
    assert earlier.finish(job)
    ended = table.job(job_id)
    assert (ended.status, ended.calls_made, ended.calls_unknown) == (JobStatus.SUCCEEDED, 1, 1)
    assert ended.images[0].key == image_key("darkroom/", job_id, 1, 0)


def test_the_lifecycle_rule_is_one_and_has_our_prefixes(operations: str) -> None:
    """S3's own model takes it, and it covers the keys we make under the default settings."""
    [text] = blocks(operations, "json")
    rules: dict[str, Any] = json.loads(text)
    service = botocore.session.get_session().get_service_model("s3")
    shape = service.shape_for("BucketLifecycleConfiguration")
    assert not ParamValidator().validate(rules, shape).has_errors()
    default = Settings.model_fields
    prefix = f"{default['s3_key_prefix'].default}{default['namespace'].default}/"
    keys = (image_key(prefix, uuid4(), 1, 0), init_image_key(prefix, "ab" * 32))
    covered = [rule["Filter"]["Prefix"] for rule in rules["Rules"]]
    assert len(covered) == len(keys)
    for key, start in zip(keys, covered, strict=True):
        assert key.startswith(start)
        assert start.startswith(prefix)


def commands(page: str) -> list[list[str]]:
    """Return every `darkroom` command line of a page, in blocks and in the middle of sentences."""
    typed = [line for block in blocks(page, "sh") for line in block.splitlines()]
    typed += re.findall(r"`(darkroom [^`]*)`", page)
    ours = [re.split(" [>&]", line)[0] for line in typed if line.startswith("darkroom ")]
    return [shlex.split(line, comments=True)[1:] for line in ours]


def pages_with_commands() -> list[str]:
    """Return every page that shows a `darkroom` command, by its path."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("client/*.md")]
    shown = [page for page in found if commands(page.read_text(encoding="utf-8"))]
    return sorted(str(page.relative_to(ROOT)) for page in shown)


def test_commands_are_found_on_the_pages_that_have_them() -> None:
    """Otherwise no command would be tried."""
    assert {"README.md", "docs/operations.md", "docs/reliability.md"} <= {*pages_with_commands()}


@pytest.mark.parametrize("page", pages_with_commands())
def test_every_command_shown_is_one(page: str) -> None:
    """Its name and its options; nothing is run."""
    group = get_command(app).commands  # type: ignore[attr-defined]  # a group has them
    for words in commands((ROOT / page).read_text(encoding="utf-8")):
        command, *rest = group[words[0]], *words[1:]
        if rest and hasattr(command, "commands"):  # a noun with verbs
            command, *rest = command.commands[rest[0]], *rest[1:]
        if rest and rest != ["--help"]:  # a bare name, in a sentence, is only a name
            command.make_context(command.name, rest)


def test_every_line_of_a_log_is_logged(operations: str) -> None:
    """An alarm on a sentence that no code logs would never ring."""
    table = operations.partition("## What the logs say")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    rooms = ("tasks", "workers", "storage")
    code = "".join(
        path.read_text("utf-8") for room in rooms for path in (ROOT / room).rglob("*.py")
    )
    assert len(lines) > 4
    assert [line for line in lines if line not in code] == []
    assert "stopping: calls under way may end" in code


def test_the_page_counts_as_the_code_does(operations: str) -> None:
    """Room in the spool for a call, how long a starved worker waits and a revoked key lives."""
    text = " ".join(operations.split())
    assert f"reserves {BYTES_PER_CALL // 1_000_000} MB" in text
    assert f"after about {EVERY_S * LOOKS:.0f} seconds" in text
    assert f"refused within {keys.REMEMBER_S:.0f} seconds" in text
    assert f"seen within {limits.REMEMBER_S:.0f} seconds" in text

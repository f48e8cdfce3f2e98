"""No command lets what came from outside steer the terminal or forge a line."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from storage.fleet.pause import PauseKind, pause_fleet
from storage.jobs.cancel import ask_cancel
from storage.jobs.release import fail_if_held
from storage.owners.api_keys import create_key
from storage.owners.limits import set_owner_limits
from storage.records.call_outcome import CallOutcome
from storage.records.delivery import DeliveryState
from storage.records.job import Job, JobError, StoredImage
from storage.webhooks.record_attempts import Verdict
from tests.darkroom.cli.conftest import CommandLine, Ran, claim
from tests.storage.deliveries import claim_deliveries, record_attempt

#: Clears the screen, begins a line, goes back, colours by a C1 control, and turns the direction.
HOSTILE = "x\x1b[2J\nforged succeeded\r\x9b31m\u202e\u2028forged"


def assert_harmless(ran: Ran) -> None:
    """Every line is printable, and none begins with what came from outside."""
    lines = [*ran.out.splitlines(), *ran.err.splitlines()]
    text = (ran.out + ran.err).replace("\n", "")
    assert text.isprintable(), ascii(text)
    assert not [line for line in lines if line.startswith("forged")]
    assert "Traceback" not in ran.err


@pytest.fixture
def failed(tables: Database, a_job: Callable[..., UUID]) -> UUID:
    """A failed job, every text of which came from outside and means harm."""
    job_id = a_job(callback_url="https://shop.example.com/done")
    error = JobError(f"C{HOSTILE}", HOSTILE, "api")
    assert fail_if_held(
        tables, job_id, fence=claim(tables, job_id).fence, outcome=CallOutcome(error)
    )
    change(
        tables.tables.jobs,
        tables,
        job_id,
        request={f"a{HOSTILE}": HOSTILE, "prompt": HOSTILE, "list": [HOSTILE]},
        metadata={HOSTILE: HOSTILE},
        owner=HOSTILE,
        idempotency_key=HOSTILE,
        callback_url=HOSTILE,
        init_image_key=HOSTILE,
    )
    return job_id


@pytest.fixture
def succeeded(tables: Database, a_job: Callable[..., UUID], finish: Callable[..., Job]) -> UUID:
    """A job with a picture under a key that means harm."""
    job_id = a_job()
    finish(job_id)
    image = StoredImage(0, HOSTILE, "ab" * 32, 10, 64, 32)
    document = [{name: getattr(image, name) for name in image.__slots__}]
    change(tables.tables.jobs, tables, job_id, images=document)
    return job_id


@pytest.fixture
def delivery(tables: Database, a_job: Callable[..., UUID]) -> UUID:
    """A delivery whose target, code and answer mean harm."""
    ask_cancel(tables, a_job(owner="shop", callback_url="https://shop.example.com/done"))
    [claimed] = claim_deliveries(tables, "shop", token=uuid4(), limit=9, lease_s=60)
    verdict = Verdict(DeliveryState.FAILED, latency_ms=1, error=HOSTILE, answer=HOSTILE)
    record_attempt(tables, claimed, verdict)
    change(tables.tables.deliveries, tables, claimed.delivery.id, target=HOSTILE)
    return claimed.delivery.id


def change(table: Any, tables: Database, row_id: UUID, **values: Any) -> None:
    """Set columns by hand."""
    with tables.begin() as connection:
        connection.execute(update(table).where(table.c.id == row_id).values(values))


def test_reading_commands_show_jobs_without_obeying_them(
    at_table: CommandLine, failed: UUID, succeeded: UUID
) -> None:
    """`show`, `list` and `watch`: names and values of parameters, errors, keys, metadata."""
    words = [
        ["show", str(failed)],
        ["show", str(succeeded)],
        ["list"],
        ["watch", str(failed), str(succeeded)],
        ["retry", "--failed", "--dry-run"],
        ["show", str(failed), "--json"],
        ["list", "--json"],
    ]
    for ran in [command.end() for command in [at_table.start(*each) for each in words]]:
        assert_harmless(ran)
    shown = at_table("show", str(failed))
    assert r"ax\x1b[2J\nforged succeeded\r\x9b31m\u202e\u2028forged" in shown.out
    assert at_table("show", str(failed), "--json").json["error"]["message"] == HOSTILE


def test_webhooks_keys_owners_and_pauses_are_shown_without_obeying_them(
    at_table: CommandLine, tables: Database, delivery: UUID
) -> None:
    """Targets, answers, codes, names and reasons."""
    made = create_key(tables, owner="shop", scopes={"read"}, name="a name")
    change(tables.tables.api_keys, tables, made.key.id, name=HOSTILE, owner=HOSTILE)
    owner = set_owner_limits(tables, "shop", max_queued=5).name
    rows = tables.tables.owners
    with tables.begin() as connection:
        connection.execute(update(rows).where(rows.c.name == owner).values(name=HOSTILE))
    register_worker(tables, WorkerInfo(uuid4(), HOSTILE, 1, HOSTILE, 4, 60))
    pause_fleet(tables, kind=PauseKind.OPERATOR, code=HOSTILE, message=HOSTILE)
    words = [
        ["webhooks", "list"],
        ["webhooks", "show", str(delivery)],
        ["keys", "list"],
        ["keys", "revoke", str(made.key.id)],
        ["owners", "list"],
        ["doctor"],
        ["list", "--workers"],
        ["pause", "--reason", "x"],
        ["webhooks", "list", "--json"],
        ["doctor", "--json"],
    ]
    for ran in [command.end() for command in [at_table.start(*each) for each in words]]:
        assert_harmless(ran)
    assert_harmless(at_table("resume"))


def test_what_a_command_is_given_is_not_obeyed_either(at_table: CommandLine, failed: UUID) -> None:
    """Ids, times, values, lines of a batch, names of files, addresses of servers."""
    (at_table.folder / "a.jsonl").write_text('{"a\\u001b[2J\\nforged": 1, "prompt": "x"}\n')
    name = "b\x1b[2J\nforged.jsonl"
    (at_table.folder / name).write_text("{")
    settings = at_table.env | {"DARKROOM_SPOOL_DIR": "spool\x1b[2J\nforged"}
    words = [
        ["show", HOSTILE],
        ["list", "--since", HOSTILE],
        ["list", "--code", HOSTILE],
        ["submit", "a fox", "--scheduler", HOSTILE],
        ["submit", "a fox", "--key", HOSTILE],
        ["submit", "a fox", "--callback-url", HOSTILE],
        ["submit", "a fox", "--init-image", HOSTILE],
        ["batch", "a.jsonl"],
        ["batch", "a.jsonl", "--skip-invalid"],
        ["batch", name],
        ["batch", "-", "--on-end", HOSTILE],
        ["keys", "create", "--owner", HOSTILE],
        ["owners", "set", HOSTILE, "--max-queued", "1"],
        ["forget", HOSTILE],
        ["cancel", HOSTILE],
        ["retry", HOSTILE],
        ["watch", "--batch", HOSTILE],
        ["webhooks", "show", HOSTILE],
    ]
    for ran in [command.end() for command in [at_table.start(*each) for each in words]]:
        assert_harmless(ran)
    assert_harmless(CommandLine(at_table.folder, settings)("doctor"))
    assert_harmless(at_table("migrate", database_url=f"sqlite:///{at_table.folder}/c\x1b[2J.db"))
    assert_harmless(at_table("list", database_url="postgresql://h\x1b[2J\nforged/x"))
    assert_harmless(at_table("list", broker_url="redis://h\x1b[2J\nforged:port/x"))
    del failed

"""`darkroom pause` and `resume`, and every place that tells of a pause."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from darkroom.checks import Level
from darkroom.checks.pause import check_pause
from darkroom.settings import load_settings
from darkroom.wiring.factory import Wiring
from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, live_workers, register_worker
from storage.fleet.pause import PauseKind, pause_fleet, resume_fleet
from storage.fleet.state import fleet_state
from storage.fleet.throttle import slow_down
from storage.fleet.worker_calls import CallReport, peers_of, report_calls
from storage.records.job import Job
from tests.darkroom.cli.conftest import CommandLine

REASON = "new key on Monday"


def test_pause_and_resume_are_in_the_table(at_table: CommandLine, tables: Database) -> None:
    """With reason, kind and time; doing either twice changes nothing and is no error."""
    paused = at_table("pause", "--reason", REASON, "--json")
    assert (paused.status, paused.json["changed"]) == (0, True)
    assert (paused.json["pause"]["kind"], paused.json["pause"]["message"]) == ("operator", REASON)
    found = fleet_state(tables).pause
    assert found is not None
    assert (found.kind, found.message) == (PauseKind.OPERATOR, REASON)
    again = at_table("pause", "--reason", "other")
    assert again.status == 0
    assert again.out.startswith("nothing changed: paused by hand, since ")
    assert f"({REASON})" in again.out
    assert at_table("resume", "--json").json["changed"] is True
    assert fleet_state(tables).pause is None
    once_more = at_table("resume")
    assert (once_more.status, once_more.out) == (0, "nothing changed: there is no pause\n")


def test_a_pause_by_hand_takes_the_place_of_one_that_ends_by_itself(
    at_table: CommandLine, tables: Database
) -> None:
    """The fleet must not begin again while an operator holds it."""
    pause_fleet(tables, PauseKind.BREAKER, code="HTTP_401", message="no such key")
    assert at_table("pause").status == 0
    found = fleet_state(tables).pause
    assert found is not None
    assert found.kind is PauseKind.OPERATOR


def test_lifting_a_pause_of_its_own_warns_that_it_may_come_back(
    at_table: CommandLine, tables: Database
) -> None:
    """The command reports the API's words, without control characters for a terminal."""
    pause_fleet(tables, PauseKind.BREAKER, code="HTTP_401", message="no\x1b[31m such key")
    ran = at_table("resume")
    assert ran.status == 0
    assert "(HTTP_401: no [31m such key)" in ran.out
    assert ran.lines[-1].startswith("if its cause is still there")


def test_list_and_submit_remark_on_a_pause(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """On stderr, so that data stays data; and nothing once it is lifted."""
    a_job()
    at_table("pause", "--reason", REASON)
    listed = at_table("list", "--json")
    assert len(listed.json_lines) == 1
    assert listed.lines[-1].startswith("no call begins: paused by hand, since ")
    assert listed.lines[-1].endswith(f"({REASON}); `darkroom resume` lifts it")
    submitted = at_table("submit", "a fox", "--json")
    assert submitted.status == 0
    assert sum(line.startswith("no call begins: ") for line in submitted.lines) == 1
    resume_fleet(tables)
    assert at_table("list").err == ""


def test_who_watches_is_told_once(
    at_table: CommandLine,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """However often it looks meanwhile."""
    job_id = a_job()
    at_table("pause")
    watching = at_table.start("watch", str(job_id))
    eventually(lambda: watching.said.startswith("darkroom: no call begins: paused by hand"))
    finish(job_id)
    ran = watching.end()
    assert (ran.status, len(ran.lines)) == (0, 1)


def test_who_waits_for_a_batch_is_told(
    at_table: CommandLine,
    tables: Database,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """The same remark beside a batch's counts."""
    batch, _ = create_batch(tables, id=uuid4())
    job_id = a_job(batch_id=batch.id)
    open_batch(tables, batch.id, 1)
    pause_fleet(tables, PauseKind.STORAGE, code="S3_AWAY", message="no answer")
    watching = at_table.start("watch", "--batch", str(batch.id))
    eventually(lambda: "\n" in watching.said)
    assert "images cannot be stored" in watching.said
    assert "(S3_AWAY: no answer)" in watching.said
    finish(job_id)
    assert watching.end().status == 0


def test_the_doctor_tells_of_a_pause(at_table: CommandLine, tables: Database) -> None:
    """In a line of its own, with its reason and its cure."""
    pause_fleet(tables, PauseKind.BREAKER, code="HTTP_401", message="no such key")
    ran = at_table("doctor")
    assert ran.status == 1
    (line,) = [line for line in ran.out.splitlines() if line.startswith("bad   calls")]
    assert "paused by the breaker, as calls failed in a row, since " in line
    assert line.endswith("(HTTP_401: no such key)")
    assert "do: repair their cause; the next success ends it" in ran.out


@pytest.mark.parametrize(
    ("kind", "level", "cure"),
    [
        (PauseKind.BUDGET, Level.WARN, "DARKROOM_MAX_CALLS_PER_DAY"),
        (PauseKind.BREAKER, Level.BAD, "the next success ends it"),
        (PauseKind.STORAGE, Level.BAD, "repair the bucket"),
        (PauseKind.OPERATOR, Level.WARN, "`darkroom resume`"),
    ],
)
def test_a_pause_of_need_is_bad_and_a_wanted_one_a_warning(
    tables: Database, sqlite_url: str, kind: PauseKind, level: Level, cure: str
) -> None:
    """Each with its cure; none of them keeps a worker from starting."""
    pause_fleet(tables, kind, code="CODE", message="words")
    (found,) = check_pause(wiring_of(sqlite_url))
    assert (found.level, found.stops_worker) == (level, False)
    assert cure in found.advice
    assert "words" in found.text


def test_less_speed_is_a_warning(tables: Database, sqlite_url: str) -> None:
    """Full speed is OK; after a "too fast" the share of speed that is left is reported."""
    wiring = wiring_of(sqlite_url)
    assert [finding.level for finding in check_pause(wiring)] == [Level.OK]
    slow_down(tables, hold_s=0)
    (found,) = check_pause(wiring)
    assert (found.level, "50% of the calls" in found.text) == (Level.WARN, True)


@pytest.fixture
def failing(tables: Database) -> UUID:
    """A worker that has paused itself, beside one that succeeds."""
    ids = uuid4(), uuid4()
    for worker_id in ids:
        register_worker(tables, WorkerInfo(worker_id, "harbour\x1b[2J", 4711, "0.1.0", 16, 60.0))
    why = "no\x1b[31m such key"
    report_calls(tables, ids[0], CallReport(300.0, 310.0, 40.0, "HTTP_401", why))
    report_calls(tables, ids[1], CallReport(succeeded_s=2.0, success_began_s=9.0))
    return ids[0]


def test_the_doctor_and_list_tell_of_a_worker_that_has_paused_itself(
    at_table: CommandLine, failing: UUID
) -> None:
    """Which, since when, why, and when its last call succeeded; no control characters."""
    told = f"worker {failing} on harbour [2J, process 4711, has paused itself, since "
    why = "(HTTP_401: no [31m such key); its last call succeeded "
    listed = at_table("list")
    assert listed.lines[-1].startswith(told)
    assert why in listed.lines[-1]
    assert "`darkroom resume --worker ID`" in listed.lines[-1]
    examined = at_table("doctor").out
    (line,) = [line for line in examined.splitlines() if line.startswith("warn  workers")]
    assert told in line
    assert why in line
    assert "2 workers alive, 32 calls at once; last success " in examined


def test_list_shows_workers_with_their_successes_and_pauses(
    at_table: CommandLine, failing: UUID
) -> None:
    """For people and for programs; it goes with no filter of jobs."""
    first, second = at_table("list", "--workers", "--json").json_lines
    row = {"id": str(failing), "pause_code": "HTTP_401", "concurrency": 16}
    assert row.items() <= first.items()
    assert first["paused_at"] > first["succeeded_at"]
    assert (second["paused_at"], second["pause_code"]) == (None, None)
    printed = at_table("list", "--workers").out.splitlines()
    assert printed[0].split()[3:] == ["release", "calls", "last", "success", "paused"]
    assert printed[1].startswith(str(failing))
    assert printed[1].endswith("HTTP_401")
    assert printed[2].endswith("-")
    assert at_table("list", "--workers", "--status", "failed").status == 2


def test_one_workers_pause_is_lifted_by_its_id(
    at_table: CommandLine, tables: Database, failing: UUID
) -> None:
    """The fleet's pause stays; an id that no live worker has is the user's mistake."""
    at_table("pause")
    asked = at_table("resume", "--worker", str(failing))
    assert (asked.status, asked.out) == (0, f"worker {failing}: asked to resume\n")
    assert fleet_state(tables).pause is not None
    peers = peers_of(tables, failing, first_failure_s=60, within_s=60, paused_s=40)
    assert peers.resume_asked
    other = next(each.id for each in live_workers(tables) if each.id != failing)
    assert at_table("resume", "--worker", str(other), "--json").json["changed"] is False
    unknown = at_table("resume", "--worker", str(uuid4()))
    assert (unknown.status, "no live worker" in unknown.err) == (1, True)


def test_resume_lifts_the_pauses_of_single_workers_too(
    at_table: CommandLine, tables: Database, failing: UUID
) -> None:
    """Also where the fleet itself is not paused."""
    resumed = at_table("resume")
    assert resumed.out == "1 paused worker was asked to resume\n"
    assert resumed.lines[-1].startswith("if its cause is still there")
    peers = peers_of(tables, failing, first_failure_s=60, within_s=60, paused_s=40)
    assert peers.resume_asked
    assert at_table("resume", "--json").json["workers"] == 1


def wiring_of(database_url: str) -> Wiring:
    """An installation of which only the table is there."""
    return Wiring(load_settings(database_url=database_url))

"""`darkroom retry`: the price is printed, and a user asked who may pay twice.

The rules are tested in `tests/tasks/bulk/test_retry_many.py`.
"""

import os
import pty
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from chaos.fleet.forked import ForkedCommand
from storage.db.database import Database
from storage.fleet.pause import PauseKind, pause_fleet
from storage.jobs.cancel import ask_cancel
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError, StoredImage
from storage.records.states import CallCount, JobStatus
from tests.darkroom.cli.conftest import CommandLine, claim

UNKNOWN = JobError("OUTCOME_UNKNOWN", "the answer never came", "api")


def lose_answer(tables: Database, job_id: UUID) -> None:
    """End a job whose call may have been paid."""
    fence = claim(tables, job_id).fence
    assert fail_if_held(
        tables, job_id, fence=fence, outcome=CallOutcome(UNKNOWN, counted_as=CallCount.UNKNOWN)
    )


def test_it_says_what_it_may_cost_and_queues(
    at_table: CommandLine,
    tables: Database,
    a_job: Callable[..., UUID],
    refuse: Callable[[UUID], None],
) -> None:
    """One call a job if all goes well, at most the limit; a dry run says it and does nothing."""
    ids = [a_job(str(n)) for n in range(3)]
    for job_id in ids:
        refuse(job_id)
    dry = at_table("retry", "--failed", "--dry-run", "--json")
    assert get_job(tables, ids[0]).status is JobStatus.FAILED
    assert dry.json["jobs"] == dry.json["calls_expected"] == 3
    assert (dry.json["calls_at_most"], dry.json["retried"]) == (9, 0)
    ran = at_table("retry", "--failed")
    assert (ran.status, ran.out) == (0, "3 queued again\n")
    assert ran.lines == [
        "3 jobs (3 PROMPT_UNSAFE)",
        "to retry costs 3 paid calls if all goes well, 9 at most",
    ]
    assert {get_job(tables, job_id).status for job_id in ids} == {JobStatus.QUEUED}


def test_unknown_outcomes_want_a_yes(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """With no terminal to ask on, nothing is retried: exit status 2, and what would agree."""
    job_id = a_job()
    lose_answer(tables, job_id)
    ran = at_table("retry", "--failed")
    assert (ran.status, ran.out) == (2, "")
    assert ran.lines[-2:] == [
        "the outcome of a call is unknown for 1: it may have been paid already",
        "nothing was retried: add --yes to pay for them again",
    ]
    assert get_job(tables, job_id).status is JobStatus.FAILED
    ran = at_table("retry", "--failed", "--yes", "--json")
    assert (ran.status, ran.json["retried"], ran.json["outcome_unknown"]) == (0, 1, 1)
    assert get_job(tables, job_id).status is JobStatus.QUEUED


def test_on_a_terminal_it_asks(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """A no leaves everything as it was; a yes queues."""
    job_id = a_job()
    lose_answer(tables, job_id)
    assert on_terminal(at_table, "n\n", "retry", str(job_id)) == 1
    assert get_job(tables, job_id).status is JobStatus.FAILED
    assert on_terminal(at_table, "y\n", "retry", str(job_id)) == 0
    assert get_job(tables, job_id).status is JobStatus.QUEUED


def on_terminal(command: CommandLine, answer: str, *arguments: str) -> int | None:
    """Run a command whose input is a terminal with a user at it; return its exit status."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        said, terminal = command.folder / "said", Path(os.ttyname(theirs))
        ran = ForkedCommand(arguments, command.env, command.folder, out=said, given=terminal)
        status = ran.wait(60)
        ran.kill()
    finally:
        os.close(ours)
        os.close(theirs)
    return status


def test_filters_choose_among_the_failed(
    at_table: CommandLine,
    tables: Database,
    a_job: Callable[..., UUID],
    refuse: Callable[[UUID], None],
) -> None:
    """By code and owner; `list` with the same options shows the same jobs."""
    hers, his, other = a_job("1", owner="ann"), a_job("2", owner="bob"), a_job("3", owner="ann")
    refuse(hers)
    refuse(his)
    lose_answer(tables, other)
    chosen = ["--code", "PROMPT_UNSAFE", "--owner", "ann", "--since", "1h"]
    listed = at_table("list", "--status", "failed", *chosen, "--json")
    assert [job["id"] for job in listed.json_lines] == [str(hers)]
    assert at_table("retry", "--failed", *chosen).out == "1 queued again\n"
    assert get_job(tables, hers).status is JobStatus.QUEUED
    assert {get_job(tables, i).status for i in (his, other)} == {JobStatus.FAILED}


def test_what_is_left_alone_is_printed(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """By state, apart from what has its paid picture; an unknown id makes exit status 1."""
    kept, waiting, stranger = a_job("1"), a_job("2"), uuid4()
    end_with_picture_after_cancel(tables, kept)
    ids = [str(job_id) for job_id in (kept, waiting, stranger)]
    ran = at_table("retry", *ids)
    assert (ran.status, ran.out) == (1, "0 queued again\n")
    assert set(ran.lines) == {
        f"there is no job {stranger}",
        "not retried: 1 cancelled with its picture",
        "not retried: 1 queued",
    }
    result = at_table("retry", *ids, "--json").json
    assert result["left_alone"] == {"cancelled": 1, "queued": 1}
    assert (result["missing"], result["complete"]) == ([str(stranger)], True)


def end_with_picture_after_cancel(tables: Database, job_id: UUID) -> None:
    """A cancel that came when the call was under way, and its picture with it."""
    job: Job = claim(tables, job_id)
    ask_cancel(tables, job_id)
    image = StoredImage(0, "k.png", "ab" * 32, 10, 64, 32)
    assert finish_if_held(tables, job_id, fence=job.fence, images=[image])


def test_under_a_pause_the_user_learns_why_nothing_starts(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """After what was done."""
    ask_cancel(tables, a_job())
    pause_fleet(tables, PauseKind.OPERATOR, code="OPERATOR", message="")
    ran = at_table("retry", "--cancelled", "--json")
    assert (ran.status, ran.json["retried"], ran.json["complete"]) == (0, 1, True)
    assert ran.lines[-1].startswith("no call begins: paused by hand")


def test_wrong_calls_are_told_before_anything_is_connected(bare: CommandLine) -> None:
    """Nothing named, two ways of naming, or filters beside ids."""
    some = str(uuid4())
    for arguments in ([], ["--code", "X"], ["--failed", "--cancelled"], [some, "--failed"]):
        ran = bare("retry", *arguments)
        words = "retry what? Give job ids, or --failed, or --cancelled"
        assert (ran.status, ran.lines) == (2, [words])
    beside = bare("retry", some, "--owner", "ann")
    assert beside.status == 2
    assert "not with ids" in beside.lines[0]

"""`darkroom retry`: no caller pays again without having been shown the cost."""

import os
import pty
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from chaos.fleet.forked import ForkedCommand
from storage.db.database import Database
from storage.fleet.pause import PauseKind, pause_fleet
from storage.intake.insert import insert_jobs
from storage.jobs.cancel import ask_cancel, cancel_jobs
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError, StoredImage
from storage.records.states import CallCount, JobStatus
from tests.darkroom.cli.conftest import CommandLine, claim
from tests.storage.table import new_job

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
    for arguments in (["--failed"], [str(job_id)]):
        ran = at_table("retry", *arguments)
        assert (ran.status, ran.out) == (2, "")
        assert ran.lines[-2] == (
            "the outcome of a call is unknown for 1: it may have been paid already"
        )
        assert "--yes" in ran.lines[-1]
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


def test_a_cancel_can_be_taken_back(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """All that was cancelled stands in the queue again, but for what has its paid picture."""
    stopped, kept = a_job("1"), a_job("2")
    end_with_picture_after_cancel(tables, kept)
    ask_cancel(tables, stopped)
    assert at_table("retry", "--cancelled").out == "1 queued again\n"
    named = at_table("retry", str(kept))
    assert (named.status, named.out) == (0, "0 queued again\n")
    assert named.lines == ["left alone: 1 cancelled with its picture"]
    assert get_job(tables, stopped).status is JobStatus.QUEUED
    assert get_job(tables, kept).images


def end_with_picture_after_cancel(tables: Database, job_id: UUID) -> None:
    """A cancel that came when the call was under way, and its picture with it."""
    job: Job = claim(tables, job_id)
    ask_cancel(tables, job_id)
    image = StoredImage(0, "k.png", "ab" * 32, 10, 64, 32)
    assert finish_if_held(tables, job_id, fence=job.fence, images=[image])


def test_what_needs_no_retry_is_left_alone(
    at_table: CommandLine, a_job: Callable[..., UUID], finish: Callable[..., Job]
) -> None:
    """Done and waiting jobs stay, reported with their state; an unknown id makes exit status 1."""
    done, waiting, stranger = a_job("1"), a_job("2"), uuid4()
    finish(done)
    ran = at_table("retry", str(done), str(waiting), str(stranger))
    assert (ran.status, ran.out) == (1, "0 queued again\n")
    assert set(ran.lines) == {
        f"there is no job {stranger}",
        "left alone: 1 succeeded",
        "left alone: 1 queued",
    }


def test_many_go_in_chunks_and_a_pause_is_told(at_table: CommandLine, tables: Database) -> None:
    """More than one transaction's worth; under a pause the caller learns why nothing starts."""
    jobs = [new_job() for _ in range(1100)]
    for some in (jobs[:1000], jobs[1000:]):
        insert_jobs(tables, some)
        cancel_jobs(tables, [job.id for job in some])
    pause_fleet(tables, PauseKind.OPERATOR, code="OPERATOR", message="")
    ran = at_table("retry", "--cancelled", "--json")
    assert (ran.status, ran.json["retried"], ran.json["complete"]) == (0, 1100, True)
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

"""`darkroom list`: filters, pages, and a table that fits."""

from collections.abc import Callable
from uuid import UUID

from storage.db.database import Database
from tests.darkroom.cli.conftest import CommandLine
from tests.storage.table import cut_short


def test_jobs_come_newest_first_and_in_pages(
    at_table: CommandLine, a_job: Callable[..., UUID]
) -> None:
    """The word after one page is the call for the next, until there is no more."""
    ids = [str(a_job(f"fox {number}")) for number in range(5)][::-1]
    first = at_table("list", "--limit", "3", "--json")
    assert [job["id"] for job in first.json_lines] == ids[:3]
    assert first.lines == [f"there are more: add --before {ids[2]}"]
    second = at_table("list", "--limit", "3", "--json", "--before", ids[2])
    assert [job["id"] for job in second.json_lines] == ids[3:]
    assert second.err == ""


def test_a_page_with_a_row_that_cannot_be_read_is_not_the_last(
    at_table: CommandLine, a_job: Callable[..., UUID], tables: Database
) -> None:
    """The word after it is still the call for the next, were nothing else on the page."""
    older, strange, newer = [str(a_job(f"fox {number}")) for number in range(3)]
    cut_short(tables, UUID(strange))
    first = at_table("list", "--limit", "2", "--json")
    assert [job["id"] for job in first.json_lines] == [newer]
    assert first.lines[-1] == f"there are more: add --before {strange}"
    second = at_table("list", "--limit", "2", "--json", "--before", strange)
    assert ([job["id"] for job in second.json_lines], second.err) == ([older], "")
    alone = at_table("list", "--limit", "1", "--before", newer)
    assert (alone.out, alone.lines[-1]) == ("", first.lines[-1])


def test_filters_narrow_the_list(
    at_table: CommandLine, a_job: Callable[..., UUID], refuse: Callable[[UUID], None]
) -> None:
    """State, owner and age all have to fit."""
    refused, other = a_job("one", owner="ann"), a_job("two", owner="ann")
    a_job("three", owner="bob")
    refuse(refused)
    found = at_table("list", "--json", "--owner", "ann", "--status", "failed", "--since", "1h")
    assert [job["id"] for job in found.json_lines] == [str(refused)]
    assert found.json_lines[0]["error"]["code"] == "PROMPT_UNSAFE"
    queued = at_table("list", "--json", "--owner", "ann", "--status", "queued")
    assert [job["id"] for job in queued.json_lines] == [str(other)]


def test_the_table_fits_eighty_columns_and_obeys_no_prompt(
    at_table: CommandLine, a_job: Callable[..., UUID]
) -> None:
    """Whatever a prompt contains, a job is one line, and times carry their zone."""
    job_id = a_job("[bold]\x1b[31m red\nfox [/nonsense] " + "x" * 100)
    ran = at_table("list")
    heading, line = ran.out.splitlines()
    assert ran.status == 0
    assert heading.split() == ["id", "status", "accepted", "about"]
    assert line.startswith(f"{job_id} queued")
    assert "CE" in line  # CET or CEST
    assert "[bold]" in line
    assert max(map(len, ran.out.splitlines())) <= 80


def test_an_empty_list_is_no_error(at_table: CommandLine) -> None:
    """No data on stdout, a word on stderr, exit status 0."""
    ran = at_table("list")
    assert (ran.status, ran.out, ran.lines) == (0, "", ["no jobs"])


def test_a_time_that_is_none_is_a_wrong_call(bare: CommandLine) -> None:
    """One line and exit status 2, before anything is connected."""
    ran = bare("list", "--since", "yesterday")
    assert ran.status == 2
    assert len(ran.lines) == 1
    assert "--since 'yesterday'" in ran.lines[0]

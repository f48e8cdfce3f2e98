"""`darkroom batch` as a person runs it, over a real results table and no worker."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from storage.batches.batches import list_batches
from storage.batches.counts import batch_progress
from storage.db.database import Database
from storage.queries.pages import list_jobs
from tests.darkroom.cli.conftest import CommandLine
from tests.darkroom.cli.test_retry import on_terminal

COMMAND = (sys.executable, "-P", "-m", "darkroom", "batch")
GOOD = '{"prompt": "a fox"}\n'


@pytest.fixture
def database(migrated_sqlite_url: str) -> Database:
    """A migrated table in a file."""
    return Database(migrated_sqlite_url)


@pytest.fixture
def batch(tmp_path: Path) -> CommandLine:
    """The command line over that table; its temporary files are looked for afterwards."""
    (tmp_path / "tmp").mkdir()
    database_url = f"sqlite:///{tmp_path / 'darkroom.db'}"
    mine = {"DARKROOM_DATABASE_URL": database_url, "TMPDIR": str(tmp_path / "tmp")}
    return CommandLine(tmp_path, {**os.environ, **mine})


def run(batch: CommandLine, *words: str, given: bytes = b"") -> tuple[int, str, str]:
    """Run it: status, what it printed, what it said beside that."""
    ran = batch("batch", *words, given=given)
    return ran.status, ran.out, ran.err


def test_calls_and_size_are_told_before_anything_is_handed_in(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """The count, an estimate that says it is one, and the id to watch."""
    (tmp_path / "night.jsonl.gz").write_bytes(gzip.compress(GOOD.encode() * 3))
    status, out, said = run(batch, "night.jsonl.gz", "--no-wait")
    assert status == 0
    assert said.startswith("darkroom: 3 paid calls, about 4.7 MB of pictures (estimated")
    (found,) = list_batches(database)
    assert out.strip() == str(found.id)
    assert (found.total, found.name) == (3, "night.jsonl.gz")
    assert f"darkroom watch --batch {found.id}" in said


def test_faulty_lines_are_told_by_number_and_nothing_goes_in(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """Exit status 2; with `--skip-invalid` the others go in, and the faulty are still reported."""
    (tmp_path / "a.jsonl").write_text(GOOD + '{"prompt": "x", "width": 1000}\n{', "utf-8")
    status, out, said = run(batch, "a.jsonl")
    assert (status, out) == (2, "")
    assert said.splitlines()[0].startswith("a.jsonl, line 2: width = 1000: must be a multiple of")
    assert said.splitlines()[1].startswith("a.jsonl, line 3: not JSON")
    assert "nothing was submitted" in said.splitlines()[2]
    assert list_batches(database) == []
    status, out, said = run(batch, "a.jsonl", "--skip-invalid", "--no-wait", "--json")
    assert (status, json.loads(out)["invalid"], json.loads(out)["total"]) == (0, 2, 1)
    assert said.count("left out: line") == 2


def test_many_calls_are_asked_about_on_a_terminal(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """A no, or the end of the input, submits nothing; a yes submits all lines."""
    (tmp_path / "many.jsonl").write_text(GOOD * 1001, "utf-8")
    words = ("batch", "many.jsonl", "--no-wait")
    assert on_terminal(batch, "n\n", *words) == 1
    assert on_terminal(batch, "\x04", *words) == 130
    assert list_batches(database) == []
    assert on_terminal(batch, "y\n", *words) == 0
    assert [found.total for found in list_batches(database)] == [1001]


def test_a_pipe_of_csv_with_shared_settings_goes_in_once(
    database: Database, batch: CommandLine
) -> None:
    """`-`, `--format`, `--set` and `--key` together, twice."""
    words = ("-", "--format", "csv", "--set", "seed=5", "--key", "k", "--no-wait")
    csv = b"\xef\xbb\xbfprompt,width\r\na fox,512\r\n"
    first = run(batch, *words, given=csv)
    again = run(batch, *words, given=csv)
    assert (first[0], again[0], first[1]) == (0, 0, again[1])
    assert "submitted before" in again[2]
    (job,) = list_jobs(database)
    assert (job.request["seed"], job.request["width"]) == (5, 512)
    other = run(batch, *words, given=csv.replace(b"512", b"640"))
    assert other[0] == 1
    assert other[2].splitlines()[-1].startswith("darkroom: --key: the key 'k' belongs to batch ")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.jsonl", "", "a.jsonl: has no requests in it"),
        ("a.csv", "width\n512\n", "a.csv: line 1: the column 'prompt' is missing"),
        ("a.txt", GOOD, "a.txt: add --format jsonl or --format csv"),
        ("missing.jsonl", None, "missing.jsonl: No such file or directory"),
    ],
)
@pytest.mark.usefixtures("database")
def test_a_file_that_cannot_be_right_is_one_line(
    batch: CommandLine, tmp_path: Path, name: str, content: str | None, line: str
) -> None:
    """Exit status 2 and no traceback."""
    if content is not None:
        (tmp_path / name).write_text(content, "utf-8")
    status, out, said = run(batch, name)
    assert (status, out) == (2, "")
    assert said.startswith(f"darkroom: {line}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("--set", "colour=red"), ("--set", "seed"), ("--owner", "a b"), ("--priority", "101")]
)
@pytest.mark.usefixtures("database")
def test_a_faulty_option_is_named(
    batch: CommandLine, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Before the file is looked at."""
    (tmp_path / "a.jsonl").write_text(GOOD, "utf-8")
    status, _, said = run(batch, "a.jsonl", *words)
    assert status == 2
    assert words[0].strip("-") in said
    assert "Traceback" not in said


def test_ctrl_c_while_lines_are_read_hands_in_nothing(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """130, a word that says so, no row, and no temporary file."""
    process = subprocess.Popen(
        [*COMMAND, "-"],
        cwd=tmp_path,
        env=batch.env,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(GOOD.encode() * 5000)  # more than a pipe holds, so it is being read
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "nothing was submitted" in said.decode()
    assert list_batches(database) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ctrl_c_while_watching_says_that_the_batch_goes_on(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """130, and the command that looks again; the jobs are still there."""
    (tmp_path / "a.jsonl").write_text(GOOD * 2, "utf-8")
    watching = batch.start("batch", "a.jsonl")
    while "no worker is running" not in watching.said:
        assert watching.process.exit_status is None
        time.sleep(0.02)
    time.sleep(0.5)
    watching.interrupt()
    ran = watching.end()
    (found,) = list_batches(database)
    assert ran.status == 130
    assert f"batch {found.id} goes on" in ran.err
    assert f"darkroom watch --batch {found.id}" in ran.err
    assert batch_progress(database, found.id).queued == 2


def test_no_temporary_file_has_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So nothing of the prompts stays behind even after a kill -9."""
    from tasks.batches.staging import Staging  # noqa: PLC0415 - after the folder is set
    from tasks.batches.valid_line import ValidLine  # noqa: PLC0415 - as below

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    staging = Staging()
    staging.add(ValidLine(1, None, "", "", '{"prompt":"secret"}', None, 0, None))
    assert list(tmp_path.iterdir()) == []
    staging.close()


def test_a_file_that_is_not_there_is_said_to_be_missing_whatever_its_name(
    database: Database, batch: CommandLine
) -> None:
    """The caller is not asked for the format of a missing file."""
    status, _, said = run(batch, "prompts")
    assert (status, said) == (2, "darkroom: prompts: No such file or directory\n")
    assert not list_jobs(database)


def test_simulated_calls_are_not_called_paid(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """With the simulator, no cost is reported to a newcomer."""
    (tmp_path / "a.jsonl").write_text(GOOD)
    batch.env["DARKROOM_SIMULATED"] = "1"
    status, _, said = run(batch, "a.jsonl", "--no-wait")
    assert status == 0
    assert said.startswith("darkroom: 1 simulated call, about")
    assert [job.simulated for job in list_jobs(database)] == [True]

"""A command loads what it uses: one that reads the table needs no broker, bucket or paid API."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: What other commands and processes need; together they cost more than all the rest of a command.
HEAVY = {"boto3", "botocore", "celery", "kombu", "redis", "requests", "PIL", "fastapi", "alembic"}

#: Runs in an interpreter of its own, where nothing is loaded yet.
COMMAND = """
import sys
from darkroom.cli import run
try:
    run(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--workers"],
        ["show", "00000000-0000-0000-0000-000000000000"],
        ["submit", "--help"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_command_that_reads_the_table_loads_nothing_for_broker_bucket_or_api(
    migrated_sqlite_url: str, tmp_path: Path, words: list[str]
) -> None:
    """Neither while it starts nor for what it prints."""
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        env={**os.environ, "DARKROOM_DATABASE_URL": migrated_sqlite_url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = ran.stdout.rpartition("loaded:")[2].split()
    assert "darkroom" in loaded
    assert HEAVY & set(loaded) == set()

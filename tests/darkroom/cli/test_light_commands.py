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
print("loaded:", *sys.modules)
"""

#: Each command once; a job that does not exist is looked up like one that does.
WORDS = [
    ["list"],
    ["list", "--workers"],
    ["show", "00000000-0000-0000-0000-000000000000"],
    ["submit", "--help"],
    ["--help"],
]


def loaded_by(words: list[str], url: str, folder: Path) -> set[str]:
    """Return the names of all modules that a command has loaded when it ends."""
    ran = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        env={**os.environ, "DARKROOM_DATABASE_URL": url},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ran.stdout.rpartition("loaded:")[2].split())
    assert "darkroom.cli" in loaded
    return loaded


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_command_that_reads_the_table_loads_nothing_for_broker_bucket_or_api(
    migrated_sqlite_url: str, tmp_path: Path, words: list[str]
) -> None:
    """Neither while it starts nor for what it prints."""
    loaded = loaded_by(words, migrated_sqlite_url, tmp_path)
    assert HEAVY & {name.partition(".")[0] for name in loaded} == set()


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_command_on_sqlite_loads_nothing_of_postgresql(
    migrated_sqlite_url: str, tmp_path: Path, words: list[str]
) -> None:
    """Neither the driver nor SQLAlchemy's dialect, which cost a fifth of all that `list` loads."""
    loaded = loaded_by(words, migrated_sqlite_url, tmp_path)
    theirs = ("psycopg", "sqlalchemy.dialects.postgresql", "storage.db.postgresql")
    assert [name for name in sorted(loaded) if name.startswith(theirs)] == []

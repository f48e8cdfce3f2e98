"""A command loads what it uses: one that reads the table needs no broker, bucket or paid API."""

import json
import os
import subprocess
import sys
from pathlib import Path

#: What other commands and processes need; together they cost more than all the rest of a command.
HEAVY = {"boto3", "botocore", "celery", "kombu", "redis", "requests", "PIL", "fastapi", "alembic"}

#: One after the other; what one has loaded counts for those after it, too.
COMMANDS = [
    ["--help"],
    ["submit", "--help"],
    ["list"],
    ["list", "--workers"],
    ["show", "00000000-0000-0000-0000-000000000000"],
]

#: Runs in an interpreter of its own, where nothing is loaded yet.
PROGRAM = """
import json, sys
from darkroom.cli import run
for words in json.loads(sys.argv[1]):
    try:
        run(words)
    except SystemExit:
        pass
    print("loaded:", json.dumps([words, *{name.partition(".")[0] for name in sys.modules}]))
"""


def test_commands_that_read_the_table_load_nothing_for_broker_bucket_or_api(
    migrated_sqlite_url: str, tmp_path: Path
) -> None:
    """Neither while they start nor for what they print."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(COMMANDS)],
        env={**os.environ, "DARKROOM_DATABASE_URL": migrated_sqlite_url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    notes = [line for line in ran.stdout.splitlines() if line.startswith("loaded: ")]
    assert len(notes) == len(COMMANDS)
    for note in notes:
        words, *loaded = json.loads(note.removeprefix("loaded: "))
        assert "darkroom" in loaded
        assert HEAVY & set(loaded) == set(), words

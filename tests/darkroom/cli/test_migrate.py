"""`darkroom migrate`: says what it finds, and does what is missing."""

from storage.db.database import Database
from storage.migrations.migrate import check_schema
from tests.darkroom.cli.conftest import CommandLine


def test_tables_are_made_once(bare: CommandLine, database_url: str) -> None:
    """First `--check` tells (exit status 1), then they are made, then there is nothing to do."""
    bare.env["DARKROOM_DATABASE_URL"] = database_url
    told = bare("migrate", "--check", "--json")
    assert (told.status, told.json["found"], told.json["revision"]) == (1, None, None)
    wanted = told.json["wanted"]
    made = bare("migrate")
    assert made.status == 0
    assert made.out.endswith(f": from no tables to revision {wanted}\n")
    again = bare("migrate", "--check")
    assert again.status == 0
    assert again.out.endswith(f": revision {wanted}: nothing to do\n")
    database = Database(database_url)
    check_schema(database)
    database.close()

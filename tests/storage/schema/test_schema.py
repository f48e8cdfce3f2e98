"""The migrations build what is declared, once, and a release knows which schema it can serve."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import column, table, text, update

import storage
from storage.db.database import Database
from storage.errors import SchemaOutOfDate
from storage.migrations.migrate import check_schema, migrate, schema_status
from storage.queries.get import get_job
from storage.schema.revision import CURRENT, PREFIX, VERSION_TABLE

_POSTGRESQL = """
SELECT 'column', table_name || '.' || column_name, data_type || ' ' || is_nullable
       || ' ' || coalesce(column_default, '') || ' ' || coalesce(character_maximum_length, 0)
  FROM information_schema.columns
 WHERE table_schema = 'darkroom' AND table_name NOT IN ('schema_version', 'results_v1')
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'darkroom' AND tablename <> 'schema_version'
UNION ALL
SELECT 'rule', conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'darkroom'::regnamespace AND conrelid <> 0
   AND conrelid <> coalesce(to_regclass('darkroom.schema_version'), 0)
"""

_SQLITE = """
SELECT 'column', m.name || '.' || c.name,
       c.type || ' ' || c."notnull" || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk
  FROM sqlite_master AS m, pragma_table_info(m.name) AS c
 WHERE m.type = 'table' AND m.name NOT LIKE '%schema_version%'
UNION ALL
SELECT type, name, sql FROM sqlite_master
 WHERE name NOT LIKE '%schema_version%' AND type <> 'view'
"""


def _described(db: Database) -> dict[tuple[str, str], str]:
    question = _POSTGRESQL if db.dialect == "postgresql" else _SQLITE
    with db.read() as connection:
        rows = connection.exec_driver_sql(question).all()
    return {
        (kind, name): " ".join((_rules_of(words or "") if kind == "table" else words or "").split())
        for kind, name, words in rows
    }


def _rules_of(definition: str) -> str:
    """The constraints of a table: columns that were added later stand after them."""
    lines = (line.strip().rstrip(",").rstrip() for line in definition.splitlines())
    return "; ".join(sorted(line for line in lines if line.startswith(("CONSTRAINT", "PRIMARY"))))


def _declare(db: Database) -> None:
    with db.begin() as connection:
        if db.dialect == "postgresql":
            connection.execute(text("CREATE SCHEMA darkroom"))
        db.tables.metadata.create_all(connection)


def _drop(db: Database) -> None:
    with db.begin() as connection:
        db.tables.metadata.drop_all(connection)
        if db.dialect == "postgresql":
            connection.execute(text("DROP SCHEMA darkroom CASCADE"))


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A database with nothing in it."""
    db = Database(database_url)
    yield db
    db.close()


def test_the_migrated_schema_is_the_declared_one(empty: Database) -> None:
    """Columns, types, defaults, CHECKs and indexes, in the database's own words."""
    _declare(empty)
    declared = _described(empty)
    _drop(empty)
    migrate(empty)
    assert _described(empty) == declared
    assert len(declared) > 20


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    """The second run finds the schema up to date."""
    assert schema_status(empty) == (None, CURRENT)
    assert migrate(empty) == CURRENT
    before = _described(empty)
    assert migrate(empty) == CURRENT
    assert (_described(empty), schema_status(empty)) == (before, (CURRENT, CURRENT))


def test_many_may_migrate_at_once(empty: Database) -> None:
    """Workers that start together do not trip over each other."""
    others = [Database(empty._engine.url.render_as_string(hide_password=False)) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(migrate, others)) == [CURRENT] * 4
    for other in others:
        other.close()


def test_a_database_without_tables_names_the_command(empty: Database) -> None:
    """Both asked beforehand and hit in the middle."""
    with pytest.raises(SchemaOutOfDate, match="darkroom migrate") as refused:
        check_schema(empty)
    assert refused.value.found is None
    with pytest.raises(SchemaOutOfDate, match="darkroom migrate"):
        get_job(empty, uuid4())


@pytest.mark.parametrize(("beyond", "served"), [(-1, False), (1, True), (2, False)])
def test_one_release_newer_is_served(db: Database, beyond: int, *, served: bool) -> None:
    """Older and much newer schemas are refused, the next one is not."""
    _pretend(db, f"{int(CURRENT) + beyond:04}")
    try:
        if served:
            check_schema(db)
        else:
            with pytest.raises(SchemaOutOfDate):
                check_schema(db)
    finally:
        _pretend(db, CURRENT)


def _pretend(db: Database, revision: str) -> None:
    schema, prefix = db.tables.metadata.schema, "" if db.tables.metadata.schema else PREFIX
    version = table(prefix + VERSION_TABLE, column("version_num"), schema=schema)
    with db.begin() as connection:
        connection.execute(update(version).values(version_num=revision))


def test_the_last_revision_is_the_wanted_one() -> None:
    """The number that is compared is the newest file's."""
    versions = Path(storage.__file__).parent / "migrations" / "versions"
    assert max(path.stem for path in versions.glob("[0-9]*.py")) == CURRENT

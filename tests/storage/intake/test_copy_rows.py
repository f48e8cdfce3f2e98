"""COPY: what a chunk of a batch means stays the same, whichever way it goes in."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.db.json_text import JsonText
from storage.errors import DatabaseUnavailable, RecordRefused
from storage.intake import copy_rows as copy_in
from storage.intake import insert as accept
from storage.intake.batch_rows import BatchRow, RowsInCommon, insert_batch_rows
from storage.intake.insert import MAX_CHUNK_JOBS, insert_jobs
from storage.migrations.migrate import migrate
from storage.queries.get import get_job
from storage.queries.pages import list_jobs
from tests.services.postgres import PostgresServer
from tests.storage.table import TableUnderTest, new_job


def test_every_field_of_a_chunk_comes_back_from_the_row(table: TableUnderTest) -> None:
    """Text that COPY's format gives a meaning of its own is kept as text."""
    batch, _ = create_batch(table.db, id=uuid4())
    job = new_job(
        batch_id=batch.id,
        owner="ada",
        idempotency_key="tab\tline\nback\\slash \\N \\.",
        request={"prompt": 'a "fox"\tin\n\\N \\. \\u0000 ü 🦊', "seed": 7, "topics": ["x"]},
        metadata={"sku": "ü-1", "large": 2**70, "half": 0.5, "none": None},
        priority=-3,
        init_image_key="init/ab",
        callback_url="https://example.org/",
        simulated=True,
        needs_release=7,
    )
    bare = new_job(batch_id=batch.id)
    assert insert_jobs(table.db, [job, bare]) == 2
    assert open_batch(table.db, batch.id, 2)
    kept = get_job(table.db, job.id)
    more = ("priority", "init_image_key", "callback_url", "simulated", "needs_release")
    for name in (*_KEPT, *more):
        assert getattr(kept, name) == getattr(job, name)
    empty = get_job(table.db, bare.id)
    assert (empty.metadata, empty.init_image_key, empty.expires_at) == (None, None, None)


_KEPT = ("id", "batch_id", "owner", "idempotency_key", "request", "request_hash", "metadata")


def test_copy_knows_every_column_that_a_statement_has() -> None:
    """A column that is added to one of the two is missed in the other; lifetimes need the clock."""
    assert {*copy_in.COLUMNS} == accept.columns_of(new_job()).keys() - {"expires_in_s"}


def test_no_value_of_json_is_the_databases_null(table: TableUnderTest) -> None:
    """`metadata IS NULL` finds the jobs that came without."""
    insert_jobs(table.db, [new_job(), new_job(metadata={})])
    jobs = table.db.tables.jobs.fullname
    assert table.sql(f"SELECT count(*) FROM {jobs} WHERE metadata IS NULL") == [(1,)]  # noqa: S608 - our own table


def test_rows_of_a_batch_are_kept_as_they_were_written(table: TableUnderTest) -> None:
    """Text in every column, and what is there already is passed over, by COPY or by statement."""
    batch, _ = create_batch(table.db, id=uuid4(), owner="ada")
    common = RowsInCommon(batch.id, batch.created_at, "ada", simulated=True)
    request = JsonText('{"prompt":"a \\"fox\\"\\tin \\\\N ü 🦊","seed":7}')
    full = BatchRow(
        str(uuid4()),
        "a\\b",
        "0" * 64,
        request,
        "init/ab",
        JsonText('{"half":0.5}'),
        -3,
        needs_release=7,
    )
    bare = BatchRow(str(uuid4()), None, "1" * 64, JsonText('{"prompt":"x"}'), None, None, 0)
    insert_batch_rows(table.db, common, [full])
    insert_batch_rows(table.db, common, [bare, full])
    assert open_batch(table.db, batch.id, 2)
    kept, empty = (get_job(table.db, UUID(row.id)) for row in (full, bare))
    assert kept.request == {"prompt": 'a "fox"\tin \\N ü 🦊', "seed": 7}
    assert (kept.batch_id, kept.owner, kept.idempotency_key) == (batch.id, "ada", "a\\b")
    assert (kept.metadata, kept.init_image_key, kept.priority) == ({"half": 0.5}, "init/ab", -3)
    assert (kept.request_hash, kept.simulated) == ("0" * 64, True)
    assert (empty.metadata, empty.init_image_key, empty.callback_url) == (None, None, None)
    assert len(list_jobs(table.db, batch_id=batch.id)) == 2
    with pytest.raises(ValueError, match="1001 rows"):
        insert_batch_rows(table.db, common, [bare] * (MAX_CHUNK_JOBS + 1))


def test_a_chunk_with_a_known_key_keeps_its_new_ones(table: TableUnderTest) -> None:
    """One repeat turns the others away no more than it does in a statement."""
    insert_jobs(table.db, [new_job(idempotency_key="a")])
    chunk = [new_job(idempotency_key=key) for key in ("a", "b", "c", "c")]
    assert insert_jobs(table.db, chunk) == 2
    assert len(list_jobs(table.db)) == 3


def test_a_lifetime_counts_from_the_databases_clock(table: TableUnderTest) -> None:
    """A chunk with lifetimes goes in as well, and each job has its own."""
    short, endless = new_job(expires_in_s=60.0), new_job()
    assert insert_jobs(table.db, [short, endless]) == 2
    kept = get_job(table.db, short.id)
    assert kept.expires_at is not None
    assert 59 < (kept.expires_at - kept.accepted_at).total_seconds() < 61
    assert get_job(table.db, endless.id).expires_at is None


@pytest.mark.parametrize(
    "bad",
    [
        {"request": {"prompt": "a\0b"}},
        {"request": {"prompt": "a\ud800b"}},
        {"request": {"prompt": float("nan")}},
        {"request": {"prompt": object()}},
        {"metadata": {"x": float("inf")}},
        {"idempotency_key": "a\ud800b"},
    ],
)
def test_one_value_that_no_row_can_hold_keeps_the_whole_chunk_out(
    table: TableUnderTest, bad: dict[str, object]
) -> None:
    """The refusal has our name, nothing of the chunk is kept, and the next one goes in."""
    with pytest.raises(RecordRefused):
        insert_jobs(table.db, [new_job(), new_job(**bad), new_job()])
    assert list_jobs(table.db) == []
    assert insert_jobs(table.db, [new_job()]) == 1


@pytest.mark.enable_socket
@pytest.mark.parametrize("bad", [{"owner": "a\0b"}, {"priority": 2**40}, {"priority": "high"}])
def test_what_postgresql_alone_refuses_has_our_name_too(
    migrated_postgres_url: str, bad: dict[str, object]
) -> None:
    """SQLite would keep these values; nothing that is checked before has them."""
    db = Database(migrated_postgres_url)
    with pytest.raises(RecordRefused):
        insert_jobs(db, [new_job(), new_job(**bad)])
    assert list_jobs(db) == []
    db.close()


@pytest.mark.enable_socket
def test_a_server_that_dies_under_a_chunk_is_away_and_comes_back(
    postgres_server: PostgresServer,
) -> None:
    """Waiting helps, so the name says so; the pool keeps no connection that is dead."""
    db = Database(postgres_server.url, connect_timeout_s=2)
    migrate(db)
    insert_jobs(db, [new_job()])
    postgres_server.kill()
    with pytest.raises(DatabaseUnavailable):
        insert_jobs(db, [new_job()])
    postgres_server.start()
    jobs = [new_job() for _ in range(3)]
    assert insert_jobs(db, jobs) == 3
    assert insert_jobs(db, jobs) == 0
    with db.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM darkroom.jobs")) == 4
    db.close()

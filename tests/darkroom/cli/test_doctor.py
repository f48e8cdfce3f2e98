"""`darkroom doctor`: looks at every part, goes on after a fault, and gives no secret away."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis

from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from storage.migrations.migrate import migrate
from tests.darkroom.cli.conftest import CommandLine, Ran
from tests.services import S3Endpoint, Simulator
from tests.services.faulty_store import faulty_store

SECRET = "hunter2"


def found(ran: Ran, about: str) -> list[tuple[str, str]]:
    """What was found about one part: level and text."""
    findings: list[Any] = ran.json["findings"]
    return [(each["level"], each["text"]) for each in findings if each["about"] == about]


def test_a_whole_installation_is_well(
    darkroom: CommandLine, tables: Database, simulator: Simulator
) -> None:
    """Everything answers, and nothing was charged."""
    worker = WorkerInfo(uuid4(), "host", 1, "0.1.0", concurrency=256, lease_s=60)
    register_worker(tables, worker)
    ran = darkroom("doctor", "--json")
    assert ran.status == 0
    assert ran.json["ok"] is True
    assert [text for _, text in found(ran, "workers")] == ["1 worker alive, 256 calls at once"]
    ((level, told),) = found(ran, "API key")
    assert (level, told.split(" (")[0]) == (
        "ok",
        f"{simulator.url} accepted the API key",
    )
    assert ("ok", "a probe object was put, read and deleted") in found(ran, "bucket")
    # What the test's S3 server is like: it takes a body whatever SHA-256 was signed for it.
    doubtful = [text for level, text in found(ran, "bucket") if level == "warn"]
    assert ["it does not verify what is put" in text for text in doubtful] == [True]
    others = ("broker", "bucket")
    levels = {each["level"] for each in ran.json["findings"] if each["about"] not in others}
    assert levels == {"ok"}
    assert any("keeps nothing on disk" in text for _, text in found(ran, "broker"))
    assert simulator.ledger()["total"] == 0


def test_every_fault_is_told_with_its_setting_and_no_secret(darkroom: CommandLine) -> None:
    """One round names all of them: each by its variable and the address that was tried."""
    (darkroom.folder / "a-file").write_text("not a folder")
    darkroom.env["AWS_SECRET_ACCESS_KEY"] = SECRET
    ran = darkroom(
        "doctor",
        "--json",
        broker_url=f"redis://:{SECRET}@127.0.0.1:1/0",
        database_url=f"postgresql://ann:{SECRET}@127.0.0.1:1/jobs",
        playground_api_key=SECRET,
        spool_dir="a-file/spool",
        concurency="17",
    )
    assert ran.status == 1
    assert ran.json["ok"] is False
    assert SECRET not in ran.out + ran.err
    lines = {
        finding["about"]: f"{finding['level']} {finding['text']}"
        for finding in ran.json["findings"]
    }
    assert "DARKROOM_CONCURENCY is not a setting" in lines["settings"]
    assert "did you mean DARKROOM_CONCURRENCY?" in lines["settings"]
    assert lines["broker"].startswith("bad DARKROOM_BROKER_URL: no broker at redis://:**@127.0.0.1")
    assert lines["database"].startswith("bad DARKROOM_DATABASE_URL: postgresql+psycopg://ann:***@")
    assert lines["bucket"].startswith("bad DARKROOM_S3_BUCKET: ")
    assert "AWS_SECRET_ACCESS_KEY" in lines["bucket"]
    assert lines["API key"].startswith("bad DARKROOM_PLAYGROUND_API_KEY: refused by ")
    assert lines["spool"].startswith("bad DARKROOM_SPOOL_DIR: ")


@pytest.mark.usefixtures("tables")
def test_a_spool_that_keeps_calls_from_starting_is_told(darkroom: CommandLine) -> None:
    """Otherwise a worker would wait at half its concurrency without a reported reason."""
    ran = darkroom("doctor", "--json", concurrency="8")
    assert ("warn", "its bound of 0.016 GB lets 4 of 8 calls start") in found(ran, "spool")


@pytest.mark.usefixtures("tables")
def test_quarantined_spool_files_are_reported(darkroom: CommandLine) -> None:
    """Paid images that nothing will store by itself: how many there are, and where."""
    root = darkroom.folder / "quarantined"
    for name, files in (("damaged", 1), ("without-job", 2)):
        (root / name).mkdir(parents=True)
        for number in range(files):
            (root / name / f"{number}.spool").write_bytes(b"p" * 50_000)
    warned = [
        text for level, text in found(darkroom("doctor", "--json", spool_dir=str(root)), "spool")
    ]
    assert f"{root}/damaged: 1 damaged files, 0.1 MB" in warned
    assert f"{root}/without-job: 2 images whose job does not exist, 0.1 MB" in warned


def test_what_is_not_set_is_told(bare: CommandLine) -> None:
    """Nothing set is nothing well; one line for each part, aligned, and plain."""
    bare.env["DARKROOM_BROKER_URL"] = "redis://127.0.0.1:1/0"
    ran = bare("doctor")
    assert (ran.status, ran.err) == (1, "")
    bad = [line[15:] for line in ran.out.splitlines() if line.startswith("bad ")]
    assert [text.split()[0].rstrip(":") for text in bad] == [
        "DARKROOM_BROKER_URL",
        "DARKROOM_DATABASE_URL",
        "DARKROOM_S3_BUCKET",
        "DARKROOM_PLAYGROUND_API_KEY",
    ]


def test_faulty_settings_are_a_finding(bare: CommandLine) -> None:
    """The doctor does not fall ill of what it is called for."""
    ran = bare("doctor", "--json", concurrency="many")
    assert ran.status == 1
    ((level, told),) = found(ran, "settings")
    assert level == "bad"
    assert "DARKROOM_CONCURRENCY='many'" in told


def test_missing_tables_are_bad(darkroom: CommandLine) -> None:
    """With the command that makes them."""
    ran = darkroom("doctor", "--json", database_url=f"sqlite:///{darkroom.folder}/other.db")
    ((level, told),) = found(ran, "database")
    assert (ran.status, level) == (1, "bad")
    assert "darkroom migrate" in told


@pytest.fixture
def evicting(redis_url: str) -> Iterator[None]:
    """A Redis that throws keys away when it is full."""
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.usefixtures("evicting")
def test_a_redis_that_evicts_is_bad(darkroom: CommandLine) -> None:
    """It would throw jobs away that are not rows yet; the cure is in the line below."""
    ran = darkroom("doctor")
    assert ran.status == 1
    assert "evicts keys when it is full (allkeys-lru)" in ran.out
    assert "do: set its maxmemory-policy to noeviction" in ran.out


def test_a_store_that_verifies_what_is_put_is_well(darkroom: CommandLine, s3: S3Endpoint) -> None:
    """An object with a wrong SHA-256 is refused; without signed payloads nothing is tested."""
    with faulty_store(s3) as store:
        darkroom.env["DARKROOM_S3_ENDPOINT_URL"] = store.endpoint.endpoint_url
        ran = darkroom("doctor", "--json")
        assert ("ok", "a probe object with a wrong SHA-256 was refused") in found(ran, "bucket")
        assert store.refused == 1
        off = darkroom("doctor", "--json", s3_sign_payload="false")
        assert [level for level, _ in found(off, "bucket")] == ["ok", "ok", "warn"]
        assert store.refused == 1


def test_a_bucket_is_made_only_when_asked(darkroom: CommandLine, s3: S3Endpoint) -> None:
    """Missing, it is bad; `--create-bucket` makes it, and the next round finds it."""
    name = f"{s3.bucket}-new"
    missing = darkroom("doctor", "--json", s3_bucket=name)
    assert missing.status == 1
    assert "--create-bucket" in found(missing, "bucket")[0][1]
    made = darkroom("doctor", "--json", "--create-bucket", s3_bucket=name)
    assert made.status == 0
    assert found(made, "bucket")[0] == ("ok", f"{name} at {s3.endpoint_url} was created")
    assert darkroom("doctor", s3_bucket=name).status == 0


def test_an_api_that_is_none_is_told(darkroom: CommandLine, s3: S3Endpoint) -> None:
    """Another server at the address (S3 says 400, too), and none at all."""
    other = darkroom("doctor", "--json", playground_url=s3.endpoint_url)
    ((level, told),) = found(other, "API key")
    assert level == "warn"
    assert s3.endpoint_url in told
    gone = darkroom("doctor", "--json", playground_url="http://127.0.0.1:1/v1")
    ((level, told),) = found(gone, "API key")
    assert level == "bad"
    assert told.startswith("DARKROOM_PLAYGROUND_URL: http://127.0.0.1:1/v1 does not answer now")


def test_a_page_instead_of_the_api_is_told(darkroom: CommandLine, simulator: Simulator) -> None:
    """A captive portal answers 200 to whatever it is asked: that is no API that is slow."""
    simulator.put_faults([{"kind": "html"}])
    ran = darkroom("doctor", "--json")
    assert ran.status == 1
    [(level, words)] = found(ran, "API key")
    assert level == "bad"
    assert f"{simulator.url} is not the image API (NO_PICTURE: " in words


def test_limits_that_a_pooler_keeps_from_the_server_are_named(
    darkroom: CommandLine, pgbouncer_url: str
) -> None:
    """With the command that sets them for the database role; nothing stops a worker."""
    database = Database(pgbouncer_url)
    migrate(database)
    database.close()
    ran = darkroom("doctor", "--json", database_url=pgbouncer_url)
    levels = dict(found(ran, "database"))
    assert levels["warn"].startswith("limits not in force")
    assert "ok" in levels
    advice = [each["advice"] for each in ran.json["findings"] if each["level"] == "warn"]
    assert any("ALTER ROLE … SET lock_timeout = '2000ms';" in each for each in advice)

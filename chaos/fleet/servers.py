"""The servers of a run: real Valkey, PostgreSQL, S3 and simulator processes that rows may kill.

They are started once and shared by the rows. A row that breaks a server restores it, and each row
gets its own database, bucket and namespace.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from chaos.scale import Scale
from storage.db.database import Database
from storage.migrations.migrate import migrate
from tests.services.postgres import Installation, PostgresServer, installed, running
from tests.services.rabbitmq import RabbitServer, rabbitmq_in
from tests.services.redis import RedisServer, valkey_in
from tests.services.s3 import S3Server, rclone_in
from tests.services.simulator import Simulator, simulator_in

__all__ = ["Ground", "start_rabbitmq"]

#: Alembic keeps the current migration in a global, so rows that run in parallel must not migrate at
#: once.
_MIGRATING = threading.Lock()


def _has_no_rabbitmq() -> RabbitServer:
    raise LookupError("these servers include no RabbitMQ")


@dataclass(frozen=True, slots=True)
class Ground:
    """Running servers, and the folder that contains all files of a run.

    Attributes:
        rabbitmq: returns a RabbitMQ that runs, and starts it for the first row that asks.
    """

    folder: Path
    scale: Scale
    redis: RedisServer
    postgres: PostgresServer
    s3: S3Server
    simulator: Simulator
    ended: list[str] = field(default_factory=list)
    installation: Installation | None = None
    rabbitmq: Callable[[], RabbitServer] = _has_no_rabbitmq

    @classmethod
    @contextmanager
    def of(
        cls,
        scale: Scale,
        installation: Installation | None = None,
        rabbitmq: Callable[[], RabbitServer] | None = None,
    ) -> Iterator["Ground"]:
        """Start the servers for runs of this size; all are stopped and deleted at the end.

        Args:
            scale: The size of the runs.
            installation: PostgreSQL, if it has been unpacked already.
            rabbitmq: Returns a RabbitMQ that runs, if there may be one already.
        """
        folder = Path(tempfile.mkdtemp(prefix="darkroom-chaos-"))
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            installation = installation or stack.enter_context(installed())
            postgres = stack.enter_context(running(installation))
            canned = ["--canned"] if scale.is_canned else []
            ledger = ["--ledger", str(folder / "ledger.jsonl")]
            redis = valkey_in(folder, "--appendonly", "yes", "--appendfsync", "always")
            ground = cls(
                folder=folder,
                scale=scale,
                installation=installation,
                redis=redis,
                postgres=postgres,
                s3=rclone_in(folder),
                simulator=simulator_in(folder, *canned, *ledger),
                rabbitmq=rabbitmq or cache(partial(start_rabbitmq, folder, stack)),
            )
            for server in (ground.redis, ground.s3, ground.simulator):
                server.start()
                stack.callback(server.stop)
            yield ground

    def migrated(self, given: object = None) -> str:
        """Return the URL of a database with tables: the given one, or a new one on PostgreSQL.

        A given PostgreSQL database has them already. A SQLite file is a copy of one that is
        migrated once.
        """
        with _MIGRATING:
            if given is None:
                return self.postgres.new_migrated_database()
            _, is_file, path = str(given).partition("sqlite:///")
            if is_file:
                shutil.copy(self._migrated_file(), path)
        return str(given)

    def _migrated_file(self) -> Path:
        path = self.folder / "migrated.db"
        if not path.exists():
            database = Database(f"sqlite:///{path}")
            migrate(database)
            database.close()
        return path


def start_rabbitmq(folder: Path, stack: ExitStack) -> RabbitServer:
    """Start a RabbitMQ that is stopped at the end of the stack."""
    server = rabbitmq_in(folder)
    server.start()
    stack.callback(server.stop)
    return server

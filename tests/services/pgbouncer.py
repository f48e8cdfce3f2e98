"""A real PgBouncer in transaction mode, where its package is installed: it comes in no wheel."""

import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from tests.services.server import Server

_CONFIGURATION = """\
[databases]
* = host={host} port={postgres_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
stats_users = darkroom
pool_mode = transaction
default_pool_size = 4
"""


def _listens(port: int) -> bool:
    with socket.create_connection((Server.host, port), timeout=2):
        return True


def _binary() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    return found


@pytest.fixture
def pgbouncer_url(_postgres_of_session: PostgresServer, postgres_url: str) -> Iterator[str]:
    """URL of `postgres_url`'s database through a PgBouncer that hands out connections by turns."""
    binary = _binary()
    folder = Path(tempfile.mkdtemp(prefix="darkroom-test-pgbouncer-", dir="/tmp"))
    configuration, users = folder / "pgbouncer.ini", folder / "users.txt"
    run_as = None
    if os.geteuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        run_as = (nobody.pw_uid, nobody.pw_gid)
        os.chown(folder, *run_as)
    server = Server(
        "pgbouncer",
        lambda _port: [binary, configuration],
        _listens,
        folder=folder,
        run_as=run_as,
    )
    users.write_text('"darkroom" ""\n')
    configuration.write_text(
        _CONFIGURATION.format(
            host=Server.host,
            port=server.port,
            postgres_port=_postgres_of_session.port,
            users=users,
        )
    )
    for file in (configuration, users):
        file.chmod(0o644)
    server.start()
    yield postgres_url.replace(f":{_postgres_of_session.port}/", f":{server.port}/")
    server.kill()
    shutil.rmtree(folder)

"""A real RabbitMQ, where its package is installed: the one broker that comes in no wheel.

Everything it opens is on the loopback: its own listener, the port by which Erlang nodes would meet,
and the name server they meet at, which would otherwise stay behind as a daemon.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Queue, pools

from darkroom.stack.ports import free_port
from tests.services.server import Server, clean_environment

#: Where Debian keeps what its own `rabbitmq-server` starts under another user, with other folders.
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

_ERLANG_BINARIES = "/usr/lib/erlang/bin:/usr/local/lib/erlang/bin"

_CONFIGURATION = """\
listeners.tcp.loopback = {host}:{port}
log.file = false
log.console = true
log.console.level = error
"""


NODE = "darkroom@localhost"

#: Nodes meet on the loopback only, and idle schedulers leave the processors alone.
_ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none"


class RabbitServer(Server):
    """A RabbitMQ that tests may kill; `url` names its one virtual host."""

    def __init__(self, binary: Path, home: Path) -> None:
        self._names = _name_server(home)
        super().__init__(
            "rabbitmq",
            lambda port: _node(port, binary, home, names_port=self._names.port),
            _takes_connections,
            folder=home,
        )

    @property
    def url(self) -> str:
        """What clients connect to."""
        return _url(self.port)

    def start(self) -> None:
        """Start it, after the name server that its node wants."""
        if not self._names.is_running:
            self._names.start()
        super().start()

    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression in the node; its value as text.

        By `erl_call`, a small program: `rabbitmqctl` starts an Erlang of its own, for a second.
        """
        found = shutil.which("erl_call") or shutil.which("erl_call", path=_ERLANG_BINARIES)
        assert found is not None, "erl_call is missing, which comes with Erlang"
        environment = clean_environment() | {
            "HOME": str(self._folder),  # where the node's cookie is
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(self._names.port),
        }
        ran = subprocess.run(
            [found, "-name", NODE, "-timeout", "60", "-fetch_stdout", "-e"],
            input=f"{expression}\n",
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert ran.stdout.startswith("{ok, "), ran.stdout
        return ran.stdout.removeprefix("{ok, ").removesuffix("}")

    def stop(self) -> None:
        """Kill it: no test needs its data any more, and an orderly shutdown takes seconds."""
        self.kill()
        self._names.stop()


def _url(port: int) -> str:
    return f"amqp://guest:guest@{Server.host}:{port}//"


def _takes_connections(port: int) -> bool:
    if not _listens(port):
        return False
    with Connection(_url(port), connect_timeout=2) as connection:
        connection.connect()
    return True


def _listens(port: int) -> bool:
    with socket.create_connection((Server.host, port), timeout=2):
        return True


def _node(port: int, binary: Path, home: Path, *, names_port: int) -> list[str | Path]:
    settings, plugins = home / "rabbitmq.conf", home / "enabled_plugins"
    settings.write_text(_CONFIGURATION.format(host=Server.host, port=port))
    plugins.write_text("[].\n")
    environment = {
        "HOME": home,  # where Erlang keeps its cookie
        "ERL_EPMD_ADDRESS": Server.host,
        "ERL_EPMD_PORT": names_port,
        "RABBITMQ_CONF_ENV_FILE": home / "none",
        "RABBITMQ_CONFIG_FILE": settings,
        "RABBITMQ_ENABLED_PLUGINS_FILE": plugins,
        "RABBITMQ_NODENAME": NODE,
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_MNESIA_BASE": home / "data",
        "RABBITMQ_LOG_BASE": home / "log",
        "RABBITMQ_PID_FILE": home / "pid",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        "RUNNING_UNDER_SYSTEMD": "1",  # no shell in between that would outlive or hide it
    }
    return ["env", *(f"{name}={value}" for name, value in environment.items()), binary]


def _name_server(home: Path) -> Server:
    """Erlang's `epmd`, in the foreground, for one node only."""
    return Server(
        "epmd",
        lambda port: ["epmd", "-address", Server.host, "-port", str(port)],
        _listens,
        folder=home,
    )


def rabbitmq_in(folder: Path) -> RabbitServer:
    """A RabbitMQ that is still to be started, with its data in this folder."""
    found = shutil.which("rabbitmq-server")
    if found is None or shutil.which("epmd") is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    return RabbitServer(_DEBIAN if _DEBIAN.exists() else Path(found), folder)


@pytest.fixture(scope="session")
def _rabbitmq_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = rabbitmq_in(tmp_path_factory.mktemp("rabbitmq"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def rabbitmq_url(_rabbitmq_of_session: RabbitServer) -> str:
    """URL of a real RabbitMQ without queues of the fleet."""
    pools.reset()  # the producers of the test before remember queues that will be gone
    with Connection(_rabbitmq_of_session.url) as connection:
        for name in ("darkroom.submit", "darkroom.generate"):
            Queue(name, channel=connection.default_channel).delete()
    return _rabbitmq_of_session.url


@pytest.fixture
def rabbitmq_server(
    _rabbitmq_of_session: RabbitServer, rabbitmq_url: str
) -> Iterator[RabbitServer]:
    """RabbitMQ to be killed and started: the session's own, as one takes seconds of CPU to start.

    It keeps its port and its data, and runs again for the next test.
    """
    assert rabbitmq_url == _rabbitmq_of_session.url
    yield _rabbitmq_of_session
    if not _rabbitmq_of_session.is_running:
        _rabbitmq_of_session.start()

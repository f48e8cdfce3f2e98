"""A real RabbitMQ, where Debian's package is installed: the one broker that comes in no wheel."""

import contextlib
from pathlib import Path

from kombu import Connection

from darkroom.stack.ports import free_port
from tests.services.server import Server

__all__ = ["RabbitServer", "rabbitmq_in"]


class RabbitServer(Server):
    """A RabbitMQ that rows may kill."""

    @property
    def url(self) -> str:
        """What Celery connects to."""
        return f"amqp://guest:guest@{self.host}:{self.port}//"


def rabbitmq_in(folder: Path) -> RabbitServer:
    """A RabbitMQ that is still to be started, with its data in this folder."""
    home = folder / "rabbitmq"
    home.mkdir()
    return RabbitServer("rabbitmq", lambda port: _command(port, home), _answers, folder=home)


def _command(port: int, home: Path) -> list[str]:
    variables = {
        "HOME": home,
        "RABBITMQ_NODENAME": f"chaos{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": Server.host,
        "RABBITMQ_NODE_PORT": port,
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_MNESIA_BASE": home / "data",
        "RABBITMQ_LOG_BASE": home / "log",
        "RABBITMQ_ENABLED_PLUGINS_FILE": home / "plugins",
        "RABBITMQ_PID_FILE": home / "pid",
    }
    return ["env", *(f"{name}={value}" for name, value in variables.items()), "rabbitmq-server"]


def _answers(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        Connection(f"amqp://guest:guest@{Server.host}:{port}//") as c,
    ):
        c.ensure_connection(max_retries=1, timeout=2)
        return True
    return False

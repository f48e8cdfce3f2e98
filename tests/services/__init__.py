"""Real servers for tests, and the rule that says which tests may use the network.

Each file holds one kind of server. A server starts when the first test asks for it, is shared by
the tests of that pytest process, and is stopped by its pid when they are over. Tests that kill,
pause or restart a server ask for one of their own (`redis_server`, `postgres_server`, `s3_server`,
`simulator_server`), or for `rabbitmq_server`, which is too costly to start twice.
"""

from tests.services.s3 import S3Endpoint
from tests.services.server import Server
from tests.services.simulator import Simulator

__all__ = ["S3Endpoint", "Server", "Simulator"]

pytest_plugins = [
    "tests.services.databases",
    "tests.services.pgbouncer",
    "tests.services.postgres",
    "tests.services.rabbitmq",
    "tests.services.redis",
    "tests.services.s3",
    "tests.services.schema",
    "tests.services.simulator",
    "tests.services.sockets",
    "tests.services.tls",
]

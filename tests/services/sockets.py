"""Which tests may use sockets: none by default, loopback for those that ask for a real server."""

from pathlib import Path

import pytest
from pytest_socket import disable_socket, socket_allow_hosts

LOOPBACK = ["127.0.0.1", "::1"]

SERVICE_FIXTURES = frozenset(
    {
        "redis_url",
        "redis_server",
        "rabbitmq_url",
        "rabbitmq_server",
        "s3",
        "s3_server",
        "postgres_url",
        "postgres_server",
        "database_url",
        "migrated_database",
        "migrated_postgres_url",
        "migrated_url",
        "new_migrated_postgres_url",
        "new_migrated_url",
        "simulator",
        "simulator_server",
    },
)

FOLDERS_OF_PROCESSES = frozenset(
    {"acceptance", "benchmarks", "chaos", "performance", "services", "simulator", "stack"}
)
"""Folders of tests/ whose every test starts servers of its own."""


def _may_use_loopback(item: pytest.Item) -> bool:
    tests = Path(item.config.rootpath, "tests")
    folders = item.path.relative_to(tests).parts[:-1] if item.path.is_relative_to(tests) else ()
    asked_for = SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    marked = item.get_closest_marker("enable_socket") is not None
    return bool(asked_for) or marked or not FOLDERS_OF_PROCESSES.isdisjoint(folders)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Close the network before a test's fixtures are made; pytest-socket opens it at teardown."""
    if _may_use_loopback(item):
        socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
    else:
        disable_socket(allow_unix_socket=True)

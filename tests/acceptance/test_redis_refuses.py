"""A Redis whose user loses its password or its rights under a running fleet."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.acceptance.conftest import MakeFleet
from tests.services import S3Endpoint
from tests.services.acl import documented_rights, user_with
from tests.services.redis import RedisServer

SMALL: dict[str, Any] = {"prompt": "a fox", "width": 64, "height": 64, "num_inference_steps": 5}


def change_password(admin: Any) -> str:
    """Change it, and end the connections that know the old one."""
    admin.execute_command("ACL", "SETUSER", "fleet", "resetpass", ">another")
    admin.execute_command("CLIENT", "KILL", "USER", "fleet")
    return "AuthenticationError"


def take_keys_away(admin: Any) -> str:
    """Leave the connections, and allow them no key."""
    admin.execute_command("ACL", "SETUSER", "fleet", "resetkeys")
    return "NoPermissionError"


@pytest.mark.parametrize("refuse", [change_password, take_keys_away])
def test_a_running_fleet_outlives_a_redis_that_refuses_it(
    make_fleet: MakeFleet,
    migrated_sqlite_url: str,
    redis_server: RedisServer,
    s3: S3Endpoint,
    refuse: Callable[[Any], str],
) -> None:
    """It tries again every few seconds, with a line for each and no traceback, and goes on."""
    rights = documented_rights(remote_control=False)
    with (
        user_with(redis_server.url, rights) as url,
        Redis.from_url(redis_server.url) as client,
    ):
        admin: Any = client  # its stubs leave `execute_command` without types
        fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=url, s3=s3)
        worker = fleet.start_worker(concurrency=4)
        fleet.wait_for(fleet.send(SMALL), "succeeded")
        error = refuse(admin)
        fleet.wait_until(lambda: fleet.logs().count(error) >= 2, "nothing was refused")
        assert worker.exit_status is None
        admin.execute_command("ACL", "SETUSER", "fleet", ">hunter2", *rights)
        fleet.wait_for(fleet.send(SMALL), "succeeded")
        assert worker.exit_status is None
        assert "Traceback" not in fleet.logs()
        fleet.stop()

"""A whole fleet on a Redis over TLS, as a user with the documented rights and nothing more."""

from collections.abc import Callable
from typing import Any

from redis import ConnectionPool, Redis

from darkroom.settings import load_settings
from darkroom.wiring.factory import Wiring
from tests.acceptance.conftest import MakeFleet
from tests.services import S3Endpoint
from tests.services.acl import documented_rights, user_with
from tests.services.redis import RedisServer
from tests.services.tls import TlsRelay

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def test_a_fleet_works_over_tls_with_the_documented_rights(
    make_fleet: MakeFleet,
    migrated_sqlite_url: str,
    redis_server: RedisServer,
    over_tls: Callable[[int], TlsRelay],
    s3: S3Endpoint,
) -> None:
    """Kombu takes the message, redis-py shares the limit, and the log has no complaint."""
    relay = over_tls(redis_server.port)
    remote_control = bool(Wiring(load_settings()).app.conf.worker_enable_remote_control)
    rights = documented_rights(remote_control=remote_control)
    with user_with(redis_server.url, rights) as plain_url:
        url = (
            plain_url.replace("redis://", "rediss://").replace(
                f":{redis_server.port}/", f":{relay.port}/"
            )
            + f"?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={relay.certificate}"
        )
        fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=url, s3=s3)
        worker = fleet.start_worker(concurrency=4, max_calls_per_second=50)
        fleet.wait_for(fleet.send({"prompt": "a fox", **SMALL}), "succeeded")
        with Redis.from_url(redis_server.url) as client:
            fleet.wait_until(lambda: client.exists("darkroom:call-budget") == 1)
        address = load_settings(broker_url=url).limits_redis
        assert address is not None
        with Redis.from_pool(ConnectionPool(**address.options)) as client:
            assert client.execute_command("ACL", "WHOAMI") == b"fleet"
        assert worker.exit_status is None
        logs = fleet.logs()
        assert not [word for word in ("WARNING", "ERROR", "Traceback") if word in logs], logs
        fleet.stop()

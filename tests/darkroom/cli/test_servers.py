"""`doctor` and `worker` before a Redis or RabbitMQ that is not trusted, or may not be used."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from uuid_utils.compat import uuid7

from darkroom.checks import Finding
from darkroom.checks.broker import check_broker
from darkroom.checks.call_limits import check_call_limits
from darkroom.errors import UserError
from darkroom.settings import load_settings
from darkroom.wiring.factory import Wiring
from tasks.broker.publisher import Publisher
from tests.darkroom.cli.conftest import CommandLine
from tests.services.acl import documented_rights, user_with
from tests.services.rabbitmq import RabbitServer
from tests.services.redis import RedisServer, valkey_in
from tests.services.tls import TlsRelay

pytestmark = pytest.mark.enable_socket

OverTls = Callable[[int], TlsRelay]

#: Kombu's and Darkroom's keys that a worker or a gateway uses, each apart from the others.
PATTERNS = [
    "~darkroom.generate*",
    "~darkroom.submit*",
    "~darkroom.unacked",
    "~darkroom.unacked_index",
    "~darkroom.unacked_mutex",
    "~_kombu.binding.*",
    "~_kombu.binding_permanent.*",
    "~darkroom:call-budget",
    "~darkroom:owner-rate:*",
]


def found(check: Callable[[Wiring], Iterator[Finding]], **settings: object) -> dict[str, str]:
    """What one of `doctor`'s checks finds: the last text of each level.

    Only a broker's retry takes time here, so all but a few checks are made in this process.
    """
    wiring = Wiring(load_settings(**settings))
    texts: dict[str, str] = {}
    try:
        for finding in check(wiring):
            if "keeps nothing on disk" not in finding.text:
                texts[finding.level] = finding.text
    except UserError as error:
        texts["bad"] = str(error)
    wiring.app.close()
    return texts


@pytest.fixture
def redis_over_tls(redis_url: str, over_tls: OverTls) -> TlsRelay:
    """A Valkey that is reached over TLS."""
    return over_tls(int(redis_url.rpartition(":")[2].partition("/")[0]))


def test_a_redis_that_is_not_trusted_is_told_nothing(
    at_table: CommandLine, redis_over_tls: TlsRelay
) -> None:
    """Neither library goes on after the certificate, and what is said names what to set."""
    url = f"rediss://127.0.0.1:{redis_over_tls.port}/0"
    worker = at_table("worker", broker_url=url)
    assert worker.status == 1
    assert "the certificate of rediss://127.0.0.1" in worker.lines[-1]
    assert "is not trusted" in worker.lines[-1]
    assert "DARKROOM_REDIS_CA_FILE" in worker.lines[-1]
    limits = found(check_call_limits, broker_url="amqp://host//", redis_url=url)
    assert "CERTIFICATE_VERIFY_FAILED" in limits["bad"]
    wiring = Wiring(load_settings(broker_url=url))
    publisher = Publisher(
        wiring.app, wiring.queues, ids_per_message=1, slots=8, timeout_s=5, pause_s=5
    )
    ids = [uuid7()]
    assert publisher.publish(ids) == ids
    wiring.app.close()
    assert redis_over_tls.sessions == 0


def test_both_libraries_trust_the_same_authority(redis_over_tls: TlsRelay) -> None:
    """By a setting, by the address in either spelling, or by opting out, which is warned of."""
    url = f"rediss://127.0.0.1:{redis_over_tls.port}/0"
    ca = redis_over_tls.certificate
    for check in (check_broker, check_call_limits):
        assert found(check, broker_url=url, redis_ca_file=ca).keys() == {"ok"}
        for word in ("CERT_REQUIRED", "required"):
            named = f"{url}?ssl_cert_reqs={word}&ssl_ca_certs={ca}"
            assert found(check, broker_url=named).keys() == {"ok"}
        by_setting = found(check, broker_url=url, redis_tls_verify=False)
        by_address = found(check, broker_url=f"{url}?ssl_cert_reqs=CERT_NONE")
        assert by_setting.keys() == by_address.keys() == {"ok", "warn"}
        assert "is not verified" in by_setting["warn"]


def test_a_certificate_is_for_the_host_of_the_address(redis_over_tls: TlsRelay) -> None:
    """One of another host proves nothing, unless the address says that this is known."""
    url, ca = f"rediss://localhost:{redis_over_tls.port}/0", redis_over_tls.certificate
    for check in (check_broker, check_call_limits):
        assert "bad" in found(check, broker_url=url, redis_ca_file=ca)
    assert redis_over_tls.sessions == 0
    known = f"{url}?ssl_check_hostname=false"
    for check in (check_broker, check_call_limits):
        assert found(check, broker_url=known, redis_ca_file=ca).keys() == {"ok"}


def test_a_file_of_certificates_that_cannot_be_read_is_named(
    at_table: CommandLine, tmp_path: Path
) -> None:
    """It would look like an unavailable server, and be tried indefinitely."""
    (tmp_path / "empty.pem").write_text("")
    for file in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        ran = at_table("worker", broker_url="rediss://127.0.0.1:1/0", redis_ca_file=str(file))
        assert ran.status == 1
        assert ran.lines[-1].startswith("DARKROOM_BROKER_URL: no certificates or key can be read")
        assert str(file) in ran.lines[-1]


def test_rabbitmq_over_tls_is_verified_the_same_way(
    rabbitmq_server: RabbitServer, over_tls: OverTls
) -> None:
    """Authority and host name; Kombu alone would leave the host name out."""
    relay = over_tls(rabbitmq_server.port)
    url, ca = f"amqps://guest:guest@127.0.0.1:{relay.port}//", relay.certificate
    assert "DARKROOM_RABBITMQ_CA_FILE" in found(check_broker, broker_url=url)["bad"]
    elsewhere = url.replace("127.0.0.1", "localhost")
    assert "bad" in found(check_broker, broker_url=elsewhere, rabbitmq_ca_file=ca)
    assert relay.sessions == 0
    two_nodes = f"amqps://guest:guest@localhost:1//;{url}"
    for address in (url, two_nodes):
        assert found(check_broker, broker_url=address, rabbitmq_ca_file=ca).keys() == {"ok"}
    unverified = found(check_broker, broker_url=f"{url}?ssl_cert_reqs=none")
    assert unverified.keys() == {"ok", "warn"}


def remote_control_is_on() -> bool:
    """Whether Celery's remote control is, with no setting."""
    wiring = Wiring(load_settings())
    return bool(wiring.app.conf.worker_enable_remote_control)


def test_the_documented_rights_are_enough(redis_url: str) -> None:
    """A user that has them and nothing more; the wrong password is a refusal, in a line."""
    with user_with(redis_url, documented_rights(remote_control=remote_control_is_on())) as url:
        for check in (check_broker, check_call_limits):
            assert found(check, broker_url=url).keys() == {"ok"}
        wrong = url.replace("hunter2", "guess")
        assert "refuses the login" in found(check_broker, broker_url=wrong)["bad"]


@pytest.mark.parametrize("missing", PATTERNS)
def test_each_key_that_a_user_may_not_touch_is_reported(redis_url: str, missing: str) -> None:
    """With command and key; nothing is sent or taken to find out."""
    keys = [pattern for pattern in PATTERNS if pattern != missing]
    rights = [*keys, "~*.pidbox*", "~_kombu.binding_deadlines", "allchannels", "+@all"]
    check = check_call_limits if ":" in missing else check_broker
    with user_with(redis_url, rights) as url:
        line = found(check, broker_url=url)["bad"]
    assert "its user may not " in line
    assert missing.removeprefix("~").rstrip("*") in line
    with redis.Redis.from_url(redis_url) as client:
        assert [key for key in client.scan_iter() if not key.startswith(b"_kombu.")] == []


def test_a_worker_whose_user_lacks_a_right_says_so(at_table: CommandLine, redis_url: str) -> None:
    """In a line, before it takes a message."""
    rights = [pattern for pattern in PATTERNS if "unacked" not in pattern]
    with user_with(redis_url, [*rights, "allchannels", "+@all"]) as url:
        worker = at_table("worker", broker_url=url)
    assert worker.status == 1
    assert "its user may not HSET darkroom.unacked" in worker.lines[-1]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisServer]:
    """A Valkey in cluster mode that serves every slot."""
    server = valkey_in(
        tmp_path, "--cluster-enabled", "yes", "--appendonly", "no", "--cluster-port", "0"
    )
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    yield server
    server.stop()


def test_a_redis_cluster_is_refused_with_the_reason(
    at_table: CommandLine, cluster: RedisServer
) -> None:
    """As broker it stops a worker; as the Redis of the limits it is reported."""
    for check in (check_broker, check_call_limits):
        assert (
            "is a Redis Cluster, which Kombu cannot use"
            in found(check, broker_url=cluster.url)["bad"]
        )
    worker = at_table("worker", broker_url=cluster.url)
    assert worker.status == 1
    assert "is a Redis Cluster" in worker.lines[-1]

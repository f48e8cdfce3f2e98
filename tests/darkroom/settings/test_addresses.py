"""An address has one meaning for Kombu, redis-py and amqp, or is refused with one clear line."""

import ssl

import pytest
from kombu import Connection
from redis import ConnectionPool

from darkroom.errors import UserError
from darkroom.settings import load_settings

REFUSED = [
    ("redis://host/0?ssl_cert_reqs=none", "rediss://"),
    ("rediss://host/0?ssl_cert_reqs=maybe", "ssl_cert_reqs is one of"),
    ("rediss://host/0?ssl_check_hostname=perhaps", "ssl_check_hostname is one of"),
    ("rediss://host/0?ssl_min_version=3", "unknown option 'ssl_min_version'"),
    ("redis://host/0?socket_timeout=5", "unknown option 'socket_timeout'"),
    ("redis://host/jobs", "the database is a number"),
    ("redis://host/0?db=3", "different databases"),
    ("redis://host/0?db=3&db=4", "given twice"),
    ("redis://:hunter2@host:port/0", "the port is not a number"),
    ("redis://:hun#ter2@host/0", "written as %23"),
    ("redis://:hun/ter2@host/0", "written as %2F"),
    ("redis://one/0;redis://other/0", "name one server"),
    ("redis://one:6379,other:6379/0", "name one server"),
    ("sentinel://host:26379/0", "Sentinel is not supported"),
    ("redis+sentinel://host:26379/mymaster", "Sentinel is not supported"),
    ("redis+cluster://host:6379", "Cluster is not supported"),
]

REFUSED_RABBITMQ = [
    ("amqp://host//?ssl_cert_reqs=required", "amqps://"),
    ("amqps://host//?ssl_cert_reqs=maybe", "ssl_cert_reqs is one of"),
    ("amqps://host//?ssl_version=3", "unknown option 'ssl_version'"),
    ("amqps://one//;amqp://other//", "the same options of TLS"),
    ("amqp://guest:hunter2@host:port//", "the port is not a number"),
]


@pytest.mark.parametrize(("address", "why"), [*REFUSED, *REFUSED_RABBITMQ])
def test_what_has_no_single_meaning_is_refused_in_a_line(address: str, why: str) -> None:
    """The line names the setting, says what is wrong, and quotes no password."""
    with pytest.raises(UserError) as refused:
        load_settings(broker_url=address)
    line = str(refused.value)
    assert line.startswith("settings: DARKROOM_BROKER_URL: ")
    assert why in line
    assert "\n" not in line
    assert "hunter2" not in line


@pytest.mark.parametrize(("address", "why"), REFUSED)
def test_the_redis_of_the_limits_is_read_by_the_same_rules(address: str, why: str) -> None:
    """What Kombu and redis-py would read differently is refused here as well."""
    with pytest.raises(UserError, match="DARKROOM_REDIS_URL: ") as refused:
        load_settings(broker_url="amqp://host//", redis_url=address)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "redis://",
        "redis://host",
        "redis://host/",
        "redis://host/3",
        "redis://host?db=3",
        "redis://ann:p%40ss%2Fw%3Ard@host:7000/3",
        "redis://:only%23password@[::1]:7000/3",
        "redis://only-user@host/3",
    ],
)
def test_kombu_and_redis_py_are_led_to_the_same_place(address: str) -> None:
    """Host, port, database and login, whatever is left out or quoted."""
    settings = load_settings(broker_url=address)
    assert settings.limits_redis is not None
    options = settings.limits_redis.options
    kombu = Connection(settings.broker.url)
    channel_options = (kombu.hostname, kombu.port, int(kombu.virtual_host or 0))
    assert channel_options == (options["host"], options["port"], options["db"])
    assert (kombu.userid, kombu.password) == (options["username"], options["password"])
    ConnectionPool(**options).make_connection()


@pytest.mark.parametrize("word", ["required", "optional", "CERT_REQUIRED", "CERT_OPTIONAL", ""])
def test_a_certificate_is_verified_unless_the_address_says_otherwise(word: str) -> None:
    """In either library's spelling, and if nothing is said at all."""
    option = f"?ssl_cert_reqs={word}" if word else ""
    settings = load_settings(broker_url=f"rediss://host/0{option}")
    assert settings.limits_redis is not None
    for options in (settings.broker.use_ssl, settings.limits_redis.options):
        assert options is not None
        assert (options["ssl_cert_reqs"], options["ssl_check_hostname"]) == ("required", True)
    rabbit = load_settings(broker_url=f"amqps://host//{option}").broker
    assert rabbit.use_ssl is not None
    assert rabbit.use_ssl["cert_reqs"] is ssl.CERT_REQUIRED
    assert "server_hostname" in rabbit.use_ssl
    assert "ssl_" not in rabbit.url


@pytest.mark.parametrize("word", ["none", "CERT_NONE"])
def test_an_address_may_opt_out(word: str) -> None:
    """In either library's spelling, for both."""
    settings = load_settings(broker_url=f"rediss://host/0?ssl_cert_reqs={word}")
    assert settings.limits_redis is not None
    for options in (settings.broker.use_ssl, settings.limits_redis.options):
        assert options is not None
        assert (options["ssl_cert_reqs"], options["ssl_check_hostname"]) == ("none", False)


def test_an_address_that_contradicts_a_setting_is_refused() -> None:
    """It would be unclear which of the two was intended."""
    with pytest.raises(UserError, match="contradicts DARKROOM_REDIS_TLS_VERIFY=false"):
        load_settings(broker_url="rediss://host/0?ssl_cert_reqs=required", redis_tls_verify=False)
    with pytest.raises(UserError, match="another file than DARKROOM_RABBITMQ_CA_FILE"):
        load_settings(broker_url="amqps://h//?ssl_ca_certs=/a", rabbitmq_ca_file="/b")


@pytest.mark.parametrize("name", ["playground_url", "s3_endpoint_url", "s3_public_url"])
@pytest.mark.parametrize("login", ["ann:hunter2@", "ann:hunter2/x@", "hunter2@", "ann:hun@ter2@"])
def test_an_address_that_is_shown_holds_no_login(name: str, login: str) -> None:
    """It would appear in `doctor`, in errors and in links; the error is reported without it."""
    with pytest.raises(UserError) as refused:
        load_settings(**{name: f"https://{login}host/v1"})
    line = str(refused.value)
    assert f"DARKROOM_{name.upper()}" in line
    assert "must not hold a user or password" in line
    assert not [part for part in ("hunter2", "ter2", "ann") if part in line]


def test_a_faulty_argument_of_puts_is_not_quoted() -> None:
    """It may be an encryption key of one's own."""
    with pytest.raises(UserError) as refused:
        load_settings(s3_put_args={"SSECustomerKey": ["hunter2"]})
    assert "DARKROOM_S3_PUT_ARGS" in str(refused.value)
    assert "hunter2" not in str(refused.value)

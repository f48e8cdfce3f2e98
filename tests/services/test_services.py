"""The real servers are real: they answer, and keep their data over kill -9."""

import socket

import boto3
import psycopg
import pytest
import redis
import requests
from mypy_boto3_s3 import S3Client

from tests.services import S3Endpoint, Simulator
from tests.services.postgres import PostgresServer, psycopg_url
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server


def _client(s3: S3Endpoint) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_redis(redis_url: str, turn: int) -> None:
    """What one test leaves in Redis the next does not see."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("turn", turn)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_database(postgres_url: str, turn: int) -> None:
    """Each test has a real PostgreSQL database to itself."""
    with psycopg.connect(psycopg_url(postgres_url)) as connection:
        assert connection.info.server_version >= 160000
        connection.execute(f"CREATE TABLE only_here AS SELECT {turn} AS turn".encode())


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_bucket(s3: S3Endpoint, turn: int) -> None:
    """Each test has a bucket to itself, and objects come back whole."""
    client = _client(s3)
    assert "Contents" not in client.list_objects_v2(Bucket=s3.bucket)
    client.put_object(Bucket=s3.bucket, Key="a/b.png", Body=bytes([turn]))
    assert client.get_object(Bucket=s3.bucket, Key="a/b.png")["Body"].read() == bytes([turn])
    client.close()


def test_redis_keeps_its_data_over_kill(redis_server: RedisServer) -> None:
    """A Redis killed with -9 and started has every acknowledged write, at its address."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("kept", "yes")
        redis_server.kill()
        redis_server.start()
        assert client.get("kept") == b"yes"


def test_postgres_keeps_its_data_over_kill(postgres_server: PostgresServer) -> None:
    """A PostgreSQL killed with -9 and started has every committed row, at its address."""
    url = psycopg_url(postgres_server.url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)
    postgres_server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_s3_keeps_its_objects_over_kill(s3_server: S3Server) -> None:
    """An S3 endpoint killed with -9 and started again still has its objects."""
    s3 = s3_server.endpoint
    client = _client(s3)
    client.put_object(Bucket=s3.bucket, Key="kept", Body=b"yes")
    s3_server.kill()
    s3_server.start()
    assert client.get_object(Bucket=s3.bucket, Key="kept")["Body"].read() == b"yes"
    client.close()


def test_a_paused_server_answers_again_when_resumed(redis_server: RedisServer) -> None:
    """A paused server keeps connections open and silent."""
    with redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as client:
        client.ping()
        redis_server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        redis_server.resume()
        assert client.ping()


def test_only_loopback_is_open_to_tests_with_servers() -> None:
    """Even a test with servers can't reach anything but this machine."""
    with socket.socket() as outside, pytest.raises(Warning, match=r"192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 80))


def test_the_simulator_charges_what_it_draws(simulator: Simulator) -> None:
    """The simulator answers a request with a picture and notes it in its ledger."""
    body = {"prompt": "a lighthouse", "width": 64, "height": 64, "seed": 7}
    key = {"Authorization": f"Bearer {simulator.api_key}"}
    with requests.Session() as session:
        answer = session.post(simulator.url, json=body, headers=key, timeout=30)
    assert answer.status_code == 200, answer.text
    assert "a lighthouse" in str(simulator.ledger())
    simulator.clear_ledger()
    assert "a lighthouse" not in str(simulator.ledger())

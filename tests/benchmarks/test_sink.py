"""The sink takes what boto3 and signed links send, so that a throughput figure can stand on it."""

from collections.abc import Iterator

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from benchmarks.servers.sink_process import Sink, sink_in
from tests.services.s3 import S3Endpoint, new_bucket

BODY = b"a picture" * 200_000


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """A sink for these tests alone."""
    server = sink_in(tmp_path_factory.mktemp("sink"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket(sink: Sink) -> S3Endpoint:
    """An empty bucket."""
    return new_bucket(sink)


@pytest.fixture(params=["when_required", "when_supported"])
def client(request: pytest.FixtureRequest, bucket: S3Endpoint) -> Iterator[S3Client]:
    """A boto3 client, once with each way of handling checksums."""
    config = Config(request_checksum_calculation=request.param, s3={"addressing_style": "path"})
    made = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint_url,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key_id,
        aws_secret_access_key=bucket.secret_access_key,
        config=config,
    )
    yield made
    made.close()


def test_an_object_has_the_size_it_was_put_with(
    sink: Sink, bucket: S3Endpoint, client: S3Client
) -> None:
    """Put, look, read, delete: sizes are kept, and puts are counted by bucket."""
    client.put_object(Bucket=bucket.bucket, Key="a/b.png", Body=BODY)
    assert client.head_object(Bucket=bucket.bucket, Key="a/b.png")["ContentLength"] == len(BODY)
    assert len(client.get_object(Bucket=bucket.bucket, Key="a/b.png")["Body"].read()) == len(BODY)
    assert sink.puts(bucket.bucket) == 1
    client.delete_object(Bucket=bucket.bucket, Key="a/b.png")
    with pytest.raises(ClientError):
        client.head_object(Bucket=bucket.bucket, Key="a/b.png")


def test_a_signed_link_may_be_put_to(sink: Sink, bucket: S3Endpoint, client: S3Client) -> None:
    """Two signed puts over one kept-alive connection arrive as two objects."""
    before = sink.connections()
    with requests.Session() as session:
        session.trust_env = False
        for key in ("one", "two"):
            named = {"Bucket": bucket.bucket, "Key": key}
            link = client.generate_presigned_url("put_object", Params=named)
            assert session.put(link, data=BODY, timeout=10).status_code == 200
    assert sink.connections() == before + 2  # the session, and this question
    assert sink.puts(bucket.bucket) == 2

"""The signature of a put is botocore's own, header by header, and a link letter by letter."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

from storage.objects.signed_links import SignedLinks
from storage.objects.sigv4 import signed_headers

NOON = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
LASTING = ReadOnlyCredentials("AKID", "secret/with+signs", None)
ROTATING = ReadOnlyCredentials("ASIA", "another", "a-token==")
BODY = b"picture"


def by_botocore(
    url: str, region: str, who: ReadOnlyCredentials, *, is_signed: bool
) -> dict[str, str]:
    """What botocore puts into the headers."""
    request = AWSRequest("PUT", url, data=BODY, headers={"Content-Type": "image/png"})
    request.context["client_config"] = Config(s3={"payload_signing_enabled": is_signed})
    S3SigV4Auth(who, "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize("who", [LASTING, ROTATING], ids=["lasting", "rotating"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:9000/b/darkroom/images/a/1-0.png",
        "b.s3.eu-central-1.amazonaws.com/a~b_c-d.png",
        "[::1]:9000/bucket.with.dots/x",
    ],
)
@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("at", [NOON, NOON + timedelta(hours=13)], ids=["today", "tomorrow"])
def test_it_is_the_one_that_botocore_makes(
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    region: str,
    who: ReadOnlyCredentials,
    at: datetime,
    *,
    is_signed: bool,
) -> None:
    """For lasting and rotating keys, any region and way of addressing, on either day."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    host, _, path = address.partition("/")
    ours = signed_headers(
        host=host,
        path=f"/{path}",
        content_type="image/png",
        region=region,
        credentials=who,
        at=at,
        payload_sha256=sha256(BODY).hexdigest() if is_signed else None,
    )
    assert ours.pop("host") == host
    assert ours == by_botocore(f"http://{address}", region, who, is_signed=is_signed)


def test_another_secret_is_another_signature() -> None:
    """Keys of the day are kept, each for its own secret."""
    signatures = {
        signed_headers(
            host="s3",
            path="/b/k",
            content_type="image/png",
            region="us-east-1",
            credentials=SimpleNamespace(access_key="A", secret_key=secret, token=None),
            at=NOON,
        )["authorization"]
        for secret in ("one", "two", "one")
    }
    assert len(signatures) == 2


def client_for(who: ReadOnlyCredentials, signature: str = "s3v4", **where: str) -> Any:
    """boto3's client for these keys."""
    session = boto3.session.Session(
        aws_access_key_id=who.access_key,
        aws_secret_access_key=who.secret_key,
        aws_session_token=who.token,
        region_name=where.pop("region", "us-east-1"),
    )
    s3: Any = {"addressing_style": where.pop("addressing", "auto")}
    config = Config(signature_version=signature, s3=s3)
    return session.client("s3", config=config, **where)  # type: ignore[call-overload]


def links(client: Any, who: ReadOnlyCredentials | None, bucket: str = "pictures") -> SignedLinks:
    """What signs links beside this client."""
    kept = None if who is None else SimpleNamespace(get_frozen_credentials=lambda: who)
    return SignedLinks(client, kept, bucket)


@pytest.mark.parametrize("who", [LASTING, ROTATING], ids=["lasting", "rotating"])
@pytest.mark.parametrize(
    "where",
    [
        {},
        {"region": "eu-central-1"},
        {"addressing": "path"},
        {"endpoint_url": "http://127.0.0.1:9000", "addressing": "path"},
        {"endpoint_url": "https://s3.example.com:443", "addressing": "virtual", "region": "auto"},
    ],
)
def test_a_link_is_the_one_that_botocore_makes(
    monkeypatch: pytest.MonkeyPatch, where: dict[str, str], who: ReadOnlyCredentials
) -> None:
    """Letter by letter, at any address."""
    client = client_for(who, **where)
    moment = [NOON]
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment[0])
    ours = links(client, who)
    moment[0] = datetime.now(UTC)
    monkeypatch.setattr(
        "storage.objects.signed_links.datetime", SimpleNamespace(now=lambda _: moment[0])
    )
    named = {"Bucket": "pictures", "Key": "darkroom/images/a/1-0.png"}
    theirs = client.generate_presigned_url("get_object", Params=named, ExpiresIn=3600)
    assert ours.link(named["Key"], 3600) == theirs


def test_an_unusual_link_is_left_to_boto3() -> None:
    """Keys that need escaping, no credentials, an ARN, another signature version."""
    usual = links(client_for(LASTING), LASTING)
    assert usual.link("a.png", 60) is not None
    assert [usual.link(key, 60) for key in ("a b.png", "/a", "ä.png", "a//b", "..")] == [None] * 5
    assert links(client_for(LASTING), None).link("a.png", 60) is None
    assert links(client_for(LASTING), LASTING, "arn:aws:s3:::x").link("a.png", 60) is None
    assert links(client_for(LASTING, "s3"), LASTING).link("a.png", 60) is None
    assert links(client_for(LASTING), ROTATING).link("a.png", 60) is None

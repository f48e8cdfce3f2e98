"""The signature of a put is botocore's own, header by header."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

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

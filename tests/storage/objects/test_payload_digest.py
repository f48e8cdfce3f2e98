"""A store that verifies the signed SHA-256 refuses what changed on the way to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from storage.errors import ObjectDigestMismatch, ObjectStoreRefused
from storage.objects.bucket_probe import check_rights, verifies_payload
from storage.objects.s3_config import StoreSettings
from storage.objects.s3_errors import translate
from storage.objects.store import ObjectStore
from tests.services import S3Endpoint
from tests.services.faulty_store import (
    Fault,
    FaultyStore,
    faulty_store,
    flip_bit,
    pass_on,
    truncate,
)

BODY = b"picture" * 1000
DIGEST = sha256(BODY).hexdigest()
KEY = "darkroom/images/a/1-0.png"

#: By boto3 alone, without the put that is signed here.
BOTO3 = {"extra_put_args": {"StorageClass": "STANDARD"}}
WAYS = pytest.mark.parametrize("changes", [{}, BOTO3], ids=["short", "boto3"])


@pytest.fixture
def faulty(s3: S3Endpoint) -> Iterator[FaultyStore]:
    """A store that verifies, behind a network that damages what the test selects."""
    with faulty_store(s3) as store:
        yield store


@contextmanager
def opened(endpoint: S3Endpoint, **changes: Any) -> Iterator[ObjectStore]:
    """The bucket, with settings changed at will."""
    values: dict[str, Any] = {
        "bucket": endpoint.bucket,
        "endpoint_url": endpoint.endpoint_url,
        "region": endpoint.region,
        "addressing": "path",
        "access_key_id": endpoint.access_key_id,
        "secret_access_key": endpoint.secret_access_key,
    }
    store = ObjectStore(StoreSettings(**values, **changes))
    yield store
    store.close()


@WAYS
def test_the_digest_of_what_is_put_is_signed(faulty: FaultyStore, changes: dict[str, Any]) -> None:
    """Given by the caller or computed here, on the fast path and by boto3."""
    with opened(faulty.endpoint, **changes) as store:
        store.put(KEY, BODY, sha256=DIGEST)
        store.put(KEY, [BODY[:100], BODY[100:]])
        assert store.get(KEY) == BODY
    assert faulty.digests == [DIGEST, DIGEST]


@WAYS
def test_a_setting_leaves_payloads_unsigned(faulty: FaultyStore, changes: dict[str, Any]) -> None:
    """For stores that cannot take a signed payload."""
    with opened(faulty.endpoint, sign_payload=False, **changes) as store:
        store.put(KEY, BODY, sha256=DIGEST)
        assert store.get(KEY) == BODY
    assert faulty.digests == ["UNSIGNED-PAYLOAD"]


@WAYS
@pytest.mark.parametrize("fault", [flip_bit, truncate])
def test_bytes_that_change_on_the_way_are_not_stored(
    faulty: FaultyStore, changes: dict[str, Any], fault: Fault
) -> None:
    """However often: the put fails as one that may be made again, and nothing wrong is stored."""
    faulty.fault = lambda _: fault
    with opened(faulty.endpoint, **changes) as store:
        with pytest.raises(ObjectDigestMismatch):
            store.put(KEY, BODY, sha256=DIGEST)
        assert not store.exists(KEY)


def test_bytes_that_change_once_are_put_again(faulty: FaultyStore) -> None:
    """The put that failed on the fast path is made again by boto3, at once."""
    faulty.fault = lambda number: flip_bit if number == 0 else pass_on
    with opened(faulty.endpoint) as store:
        store.put(KEY, BODY, sha256=DIGEST)
        assert store.get(KEY) == BODY
    assert faulty.refused == 1


@WAYS
def test_bytes_that_changed_in_memory_are_not_stored(
    faulty: FaultyStore, changes: dict[str, Any]
) -> None:
    """The row's digest is signed, and boto3's own digest of other bytes is not sent instead."""
    with opened(faulty.endpoint, **changes) as store:
        with pytest.raises(ObjectDigestMismatch):
            store.put(KEY, flip_bit(BODY), sha256=DIGEST)
        assert not store.exists(KEY)
        store.put(KEY, b"another", sha256=None)


@pytest.mark.parametrize("code", ["XAmzContentSHA256Mismatch", "BadDigest"])
def test_both_codes_mean_that_other_bytes_arrived(
    code: str, client_error: Callable[[str, int], Exception]
) -> None:
    """The second is of a checksum that boto3 sends where checksums are supported."""
    assert isinstance(translate(client_error(code, 400), "s3", "b", KEY), ObjectDigestMismatch)


@pytest.mark.parametrize("verifies", [True, False])
def test_a_probe_shows_whether_the_store_verifies(faulty: FaultyStore, *, verifies: bool) -> None:
    """An object with a wrong digest is refused or not, and nothing is left of it."""
    faulty.verifies = verifies
    with opened(faulty.endpoint) as store:
        assert verifies_payload(store, "darkroom") is verifies
        assert [found for page in store.pages("") for found in page] == []


@pytest.mark.parametrize(("prefix", "begin"), [("darkroom/", "darkroom/probe-"), ("", "probe-")])
def test_probes_lie_where_the_workers_write(prefix: str, begin: str) -> None:
    """Rights may be for that folder alone."""
    keys: list[str] = []

    class Recording(ObjectStore):
        def put_signed_as(self, key: str, data: bytes, sha256: str) -> int | None:
            del data, sha256
            keys.append(key)
            return 200

        def delete(self, key: str) -> None:
            keys.append(key)

    assert verifies_payload(Recording(StoreSettings(bucket="b")), prefix) is False
    assert len(set(keys)) == 1
    assert keys[0].startswith(begin)


def test_a_store_that_gives_back_other_bytes_is_refused(faulty: FaultyStore) -> None:
    """It took the probe, and has another one."""
    faulty.verifies = False
    faulty.fault = lambda _: flip_bit
    with opened(faulty.endpoint) as store, pytest.raises(ObjectStoreRefused) as refused:
        check_rights(store, "darkroom")
    assert refused.value.code == "Altered"


def test_a_store_that_does_not_answer_proves_nothing(s3: S3Endpoint) -> None:
    """Neither yes nor no."""
    with opened(s3, extra_put_args={}) as store:
        store._endpoint_url = "http://127.0.0.1:1"
        assert store.put_signed_as(KEY, b"x", DIGEST) is None


@pytest.fixture
def client_error() -> Callable[[str, int], Exception]:
    """What botocore makes of a refusal."""

    def make(code: str, status: int) -> Exception:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, "PutObject")

    return make

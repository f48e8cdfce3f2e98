"""The bucket, over a real S3 endpoint, and its errors in our words."""

import gc
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from botocore import exceptions as boto

from storage.errors import BucketMissing, ObjectMissing, ObjectStoreRefused, ObjectStoreUnavailable
from storage.objects import botocore_garbage as leftovers
from storage.objects.bucket_probe import check_rights
from storage.objects.s3_config import StoreSettings
from storage.objects.s3_errors import translate
from storage.objects.store import ObjectStore
from storage.records.object_keys import image_key, init_image_key
from tests.services import S3Endpoint

JOB = UUID("0190a6f2-0000-7000-8000-000000000001")

Open = Callable[..., ObjectStore]


@pytest.fixture
def open_store(s3: S3Endpoint) -> Iterator[Open]:
    """Opens the test's bucket, with settings changed at will."""
    opened: list[ObjectStore] = []

    def _open(**changes: Any) -> ObjectStore:
        values: dict[str, Any] = {
            "bucket": s3.bucket,
            "endpoint_url": s3.endpoint_url,
            "access_key_id": s3.access_key_id,
            "secret_access_key": s3.secret_access_key,
            "region": s3.region,
            "addressing": "path",
            "connect_timeout_s": 2.0,
            "read_timeout_s": 5.0,
        }
        store = ObjectStore(StoreSettings(**{**values, **changes}))
        opened.append(store)
        return store

    yield _open
    for store in opened:
        store.close()


def test_an_object_is_put_looked_at_fetched_and_deleted(open_store: Open) -> None:
    """And putting again replaces it."""
    store = open_store()
    key = image_key("darkroom", JOB, 1, 0)
    assert store.head(key) is None
    store.put(key, b"old")
    store.put(key, b"picture")
    found = store.head(key)
    assert found is not None
    assert (found.size_bytes, store.exists(key), store.get(key)) == (7, True, b"picture")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)
    with pytest.raises(ObjectMissing) as missing:
        store.get(key)
    assert missing.value.key == key


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_both_ways_of_checking_work(open_store: Open, checksums: str) -> None:
    """Newer checksums are sent to a store only if its operator wants it."""
    store = open_store(checksums=checksums)
    store.put("a", b"x" * 100_000)
    assert len(store.get("a")) == 100_000


def test_a_signed_link_opens_for_anyone(open_store: Open) -> None:
    """Without keys, and not without its signature."""
    store = open_store()
    store.put("a/b.png", b"picture", "image/png")
    link = store.signed_url("a/b.png", expires_s=60)
    with urllib.request.urlopen(link) as answer:  # noqa: S310 - our own endpoint
        assert answer.read() == b"picture"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(link.partition("?")[0])  # noqa: S310 - our own endpoint
    refused.value.close()


def test_a_signed_link_is_on_the_public_address(open_store: Open) -> None:
    """Users need not reach what the workers reach, and no link lives longer than a week."""
    store = open_store(public_url="https://pictures.example.org")
    link = store.signed_url("a.png", expires_s=10**9)
    assert link.startswith("https://pictures.example.org/")
    assert "X-Amz-Expires=604800" in link


def test_rights_are_tried_and_leave_nothing(open_store: Open) -> None:
    """Put, get and delete; the bucket is empty before and after."""
    store = open_store()
    check_rights(store, "darkroom")
    assert list(store.pages("")) in ([], [[]])


def test_a_wrong_key_is_refused_with_the_stores_code(open_store: Open) -> None:
    """A person has to change a setting."""
    with pytest.raises(ObjectStoreRefused) as refused:
        open_store(secret_access_key="wrong").put("a", b"x")
    assert refused.value.code in {"SignatureDoesNotMatch", "AccessDenied"}
    assert "wrong" not in str(refused.value)


def test_a_missing_bucket_is_named_and_can_be_made(open_store: Open) -> None:
    """Never by itself."""
    store = open_store(bucket="not-there-yet")
    assert not store.bucket_exists()
    with pytest.raises(BucketMissing) as missing:
        store.put("a", b"x")
    assert missing.value.bucket == "not-there-yet"
    store.create_bucket()
    assert store.bucket_exists()


def test_a_store_that_is_away_is_worth_waiting_for(open_store: Open) -> None:
    """No server listens on that port."""
    store = open_store(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ObjectStoreUnavailable, match=r"127\.0\.0\.1:9"):
        store.exists("a")


@pytest.mark.parametrize(("every_s", "most_bytes"), [(0.0, 1 << 40), (3600.0, 1)])
def test_a_picture_whose_put_failed_is_let_go(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, every_s: float, most_bytes: int
) -> None:
    """While the bucket is away, memory must not grow with every try: by time, or by their bytes."""
    monkeypatch.setattr(leftovers, "EVERY_S", every_s)
    monkeypatch.setattr(leftovers, "MOST_BYTES", most_bytes)
    store = open_store(endpoint_url="http://127.0.0.1:9")
    picture = bytes(1_000_000)

    def references_after_a_try() -> int:
        with pytest.raises(ObjectStoreUnavailable):
            store.put("a", picture)
        return sys.getrefcount(picture)

    gc.disable()
    try:
        first = references_after_a_try()
        assert [references_after_a_try() for _ in range(3)] == [first] * 3
    finally:
        gc.enable()


def _answer(code: str, status: int) -> boto.ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(response, "PutObject")


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (_answer("SlowDown", 503), ObjectStoreUnavailable),
        (_answer("", 500), ObjectStoreUnavailable),
        (_answer("", 429), ObjectStoreUnavailable),
        (_answer("RequestTimeout", 400), ObjectStoreUnavailable),
        (_answer("AccessDenied", 403), ObjectStoreRefused),
        (_answer("403", 403), ObjectStoreRefused),
        (_answer("KMS.DisabledException", 400), ObjectStoreRefused),
        (_answer("NoSuchBucket", 404), BucketMissing),
        (_answer("NoSuchKey", 404), ObjectMissing),
        (_answer("404", 404), ObjectMissing),
        (boto.NoCredentialsError(), ObjectStoreRefused),
        (ValueError("Invalid endpoint: x"), ObjectStoreRefused),
        (ConnectionResetError(), ObjectStoreUnavailable),
    ],
)
def test_each_answer_means_one_thing(foreign: Exception, ours: type[Exception]) -> None:
    """Whether waiting helps is decided in one place."""
    assert type(translate(foreign, "http://store", "bucket", "key")) is ours


def test_no_exception_of_botocore_is_missed() -> None:
    """Every class it has becomes `ObjectStoreUnavailable` or `ObjectStoreRefused`."""
    for name in dir(boto):
        kind = getattr(boto, name)
        if isinstance(kind, type) and issubclass(kind, boto.BotoCoreError):
            foreign = kind.__new__(kind)
            assert isinstance(
                translate(foreign, "http://store", "bucket"),
                ObjectStoreUnavailable | ObjectStoreRefused,
            )


def test_keys_follow_from_id_and_fence_alone() -> None:
    """Slashes around a prefix do not matter, and no two holders share a key."""
    assert image_key("/darkroom/", JOB, 2, 0) == f"darkroom/images/{JOB}/2-0.png"
    assert image_key("", JOB, 2, 1) == f"images/{JOB}/2-1.png"
    assert image_key("p", JOB, 1, 0) != image_key("p", JOB, 2, 0)
    assert init_image_key("p", "ab" * 32) == f"p/init/ab/{'ab' * 32}"
    with pytest.raises(ValueError, match="SHA-256"):
        init_image_key("p", "../x")

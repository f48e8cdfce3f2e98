"""A fast path that the benchmark switches off leaves its work to the documented fallback."""

import importlib
import os
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3

from benchmarks.contenders import plain_paths
from benchmarks.contenders.plain_paths import FAST_PATHS, switch_off
from http1 import exchange, with_final_responses
from http1.response import Answer
from storage.objects.store import ObjectStore
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.storing import uploader
from tasks.storing.picture_cache import PictureCache
from tests.playground.raw_server import answer, raw_server
from tests.services.s3 import S3Endpoint
from workers.cpu_affinity import CpuAffinity

IMAGE = SpooledImage([b"an image"], width=1, height=1)


def off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch one path off until the test ends."""
    switch_off([name], replace=monkeypatch.setattr)


@pytest.mark.parametrize("path", FAST_PATHS, ids=lambda path: path.name)
def test_each_path_states_how_to_measure_it_and_what_its_fallback_is(
    path: plain_paths.FastPath,
) -> None:
    """A reader finds gain, command and fallback in the docstring of the module."""
    text = importlib.import_module(path.module).__doc__ or ""
    assert "Gain: " in text
    assert "times the CPU per image" in " ".join(text.split())
    assert "python -m benchmarks --only paths" in text
    assert "Fallback: " in text


@pytest.mark.parametrize("path", FAST_PATHS, ids=lambda path: path.name)
def test_a_switch_whose_attribute_was_renamed_is_refused(
    path: plain_paths.FastPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a worker with the path would be compared with itself."""
    module, _, member = path.owner.partition(":")
    owner = importlib.import_module(module)
    monkeypatch.delattr(getattr(owner, member) if member else owner, path.attribute)
    with pytest.raises(AttributeError, match=path.attribute):
        switch_off([path.name])


def test_an_unknown_path_is_refused() -> None:
    """A misspelt name measures nothing."""
    with pytest.raises(KeyError):
        switch_off(["signed putt"])


@pytest.mark.parametrize("is_off", [False, True])
def test_without_the_short_reader_urllib3_makes_the_exchange(
    monkeypatch: pytest.MonkeyPatch, *, is_off: bool
) -> None:
    """The second exchange over the same connection shows who reads it."""
    if is_off:
        off("short HTTP reader", monkeypatch)
    with raw_server(lambda conn, _: answer(conn, b"body")) as server:
        pool = with_final_responses(urllib3.HTTPConnectionPool)("127.0.0.1", server.port)
        answers = [_asked(pool), _asked(pool)]
        pool.close()
    assert isinstance(answers[1], Answer) is not is_off


def _asked(pool: urllib3.HTTPConnectionPool) -> object:
    answered = exchange(
        pool,
        "POST",
        "/",
        headers={"Host": "a", "Content-Length": "2"},
        pieces=[b"hi"],
        timeout=urllib3.Timeout(connect=30, read=30),
        retries=urllib3.Retry(total=False),
    )
    assert answered.read() == b"body"
    answered.close()
    answered.release_conn()
    return answered


def test_without_the_signed_put_boto3_stores_the_object(
    s3: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is in the bucket all the same."""
    off("signed put", monkeypatch)
    store: ObjectStore = s3.store()
    store.put("a/key.png", b"an image")
    assert store.get("a/key.png") == b"an image"
    store.close()


@pytest.mark.parametrize("is_off", [False, True])
def test_without_spare_files_a_file_that_is_dropped_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_off: bool
) -> None:
    """With them it stays for a moment, to be written over."""
    if is_off:
        off("spool files written over", monkeypatch)
    spool = Spool(tmp_path, max_bytes=10**6, fsync=False)
    before = set(spool.folder.iterdir())
    spool.drop(spool.write(uuid4(), 1, [IMAGE]))
    assert bool(set(spool.folder.iterdir()) - before) is not is_off
    spool.close()


def test_without_the_memory_cache_every_image_is_read_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of the uploader takes no image, however small."""
    off("memory cache", monkeypatch)
    spool = Spool(tmp_path, max_bytes=10**6, fsync=False)
    entry = spool.write(uuid4(), 1, [IMAGE])
    cache = PictureCache(uploader.CACHE_BYTES)
    cache.keep(entry, [IMAGE])
    assert cache.take(entry) is None
    spool.close()


def test_without_the_choice_of_a_core_threads_stay_where_the_kernel_puts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However busy the process is, its cores remain those that it may use."""
    off("threads on one core", monkeypatch)
    before = os.sched_getaffinity(0)
    busy = CpuAffinity(load=lambda: dict.fromkeys(before, 0.0), used=lambda: 1.0)
    busy.look()
    assert os.sched_getaffinity(0) == before

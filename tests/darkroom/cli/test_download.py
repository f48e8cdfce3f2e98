"""Pictures that a command fetches from the bucket."""

import hashlib
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.cli.common.download import check_target, save_images
from darkroom.errors import UserError
from storage.records.job import StoredImage
from tests.http1.interim import CONTINUE, HINTS
from tests.playground.raw_server import Seen, answer, raw_server
from tests.storage.objects.test_fast_put import KEY, store_at

pytestmark = pytest.mark.enable_socket

PICTURE = b"a picture" * 1000


def job_with(sha256: str) -> Any:
    """Make what is read of a job: its picture."""
    return SimpleNamespace(images=[StoredImage(0, KEY, sha256, len(PICTURE), 8, 8)])


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_picture_is_found_behind_interim_responses(tmp_path: Path, *, is_whole: bool) -> None:
    """A store's 103 is not the picture; other bytes than were stored are no file."""

    def bucket(conn: socket.socket, _: Seen) -> None:
        conn.sendall(CONTINUE + HINTS)
        answer(conn, PICTURE)

    digest = hashlib.sha256(PICTURE if is_whole else b"another").hexdigest()
    target = tmp_path / "fox.png"
    with raw_server(bucket) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        if is_whole:
            assert save_images(store, job_with(digest), target) == [target]
            assert target.read_bytes() == PICTURE
        else:
            with pytest.raises(UserError):
                save_images(store, job_with(digest), target)
            assert list(tmp_path.iterdir()) == []
        store.close()


def test_a_pipe_or_a_device_is_refused_as_a_target(tmp_path: Path) -> None:
    """A file takes the target's name at the end: `-o /dev/null` must not replace the device."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for target in (Path("/dev/null"), tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(UserError, match="device or a pipe"):
            check_target(target)
    check_target(tmp_path / "fox.png")


def test_a_target_that_cannot_be_looked_up_is_refused(tmp_path: Path) -> None:
    """A name that is too long, or a loop of links, is the user's mistake and no traceback."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    check_target(tmp_path / ("a" * longest))
    (tmp_path / "loop").symlink_to("loop")
    for target in (tmp_path / ("a" * (longest + 1)), tmp_path / "loop" / "fox.png"):
        with pytest.raises(UserError, match=r"^-o "):
            check_target(target)

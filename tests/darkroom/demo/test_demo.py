"""`darkroom demo` as a person runs it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from chaos.fleet.forked import ForkedCommand
from playground.answers.png import check_png

#: A run takes half a minute of processor time, which may be minutes beside other work.
pytestmark = pytest.mark.timeout(420)

COMMAND = (sys.executable, "-P", "-m", "darkroom", "demo")

#: Never reached: all that the demo starts is on loopback, and these are what it must not use.
STRANGERS = {
    "DARKROOM_DATABASE_URL": "postgresql+psycopg://somebody@192.0.2.1/production",
    "DARKROOM_S3_BUCKET": "production",
    "DARKROOM_NAMESPACE": "production",
    "AWS_PROFILE": "production",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a space in its name; no process works in it afterwards."""
    path = tmp_path / "a folder"
    path.mkdir()
    yield path
    assert _processes_in(path) == []


def _processes_in(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            words = " ".join(process.info["cmdline"] or ())
            where = process.cwd() if process.info["status"] != psutil.STATUS_ZOMBIE else ""
        except psutil.Error:
            continue
        if str(folder) in words or where.startswith(str(folder)):
            found.append(words)
    return found


def _start(folder: Path, *options: str, **more: str) -> subprocess.Popen[str]:
    (folder / ".env").write_text("DARKROOM_PLAYGROUND_URL=http://192.0.2.1/production\n", "utf-8")
    return subprocess.Popen(
        [*COMMAND, *options],
        cwd=folder,
        env=os.environ | STRANGERS | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(folder: Path, *options: str, **more: str) -> tuple[int, str, str]:
    process = _start(folder, *options, **more)
    out, said = process.communicate(timeout=200)
    return process.returncode, out, said


def _begin(folder: Path, *options: str, **more: str) -> tuple[ForkedCommand, Path, Path]:
    """The same from a process that is warm: what it does is the claim, not how it is started."""
    out, err = folder.with_name("out"), folder.with_name("err")
    words = ["demo", *options]
    return ForkedCommand(words, os.environ | more, folder, out=out, err=err), out, err


@pytest.mark.enable_socket
def test_two_dozen_prompts_become_pictures_in_a_bucket_though_ctrl_c_came_first(
    folder: Path,
) -> None:
    """130 and a word on how to go on; the next run ends with 0: 24 pictures, each charged once."""
    _interrupted(folder)
    status, out, said = _run(folder, "--json")
    assert status == 0, said
    outcome: dict[str, Any] = json.loads(out)
    assert (len(outcome["pictures"]), len(outcome["refused"])) == (24, 2)
    assert (outcome["problems"], outcome["charged"]) == ([], 24)
    wheres = {one["name"]: (one["where"], one["reason"]) for one in outcome["refused"]}
    assert wheres["high-stakes"][0] == "by the API"
    assert "PROMPT_UNSAFE" in wheres["high-stakes"][1]
    assert wheres["odd-size"][0] == "at the door"
    assert "width = 1000" in wheres["odd-size"][1]
    for made in outcome["pictures"]:
        data = Path(made["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == made["sha256"]
        assert (check_png(data).width, check_png(data).height) == (made["width"], made["height"])
        assert b"Simulated: yes" in data
    _look_at_pages(folder / "darkroom-demo")
    assert "darkroom-demo/gallery.html" in said
    assert "refused high-stakes" in said


def _interrupted(folder: Path) -> None:
    """Ctrl-C as soon as there is a picture: nothing is left running, and the rows are kept."""
    (folder / ".env").write_text("DARKROOM_PLAYGROUND_URL=http://192.0.2.1/production\n", "utf-8")
    process, out, _ = _begin(folder, **STRANGERS)
    table = folder / "darkroom-demo" / "darkroom.db"
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s and not _has_a_picture(out):
        assert process.exit_status is None
        time.sleep(0.05)
    process.signal(signal.SIGINT)
    assert process.wait(120) == 130
    printed = out.read_text("utf-8")
    assert "nothing is left running" in printed
    assert "up --data-dir darkroom-demo" in printed or "demo --data-dir darkroom-demo" in printed
    assert table.exists()
    assert _processes_in(folder) == []


def _has_a_picture(out: Path) -> bool:
    return out.exists() and " + " in out.read_text("utf-8")


def _look_at_pages(folder: Path) -> None:
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.width == 1600
    page = (folder / "gallery.html").read_text("utf-8")
    pictures = sorted((folder / "pictures").glob("*.png"))
    assert len(pictures) == 24
    assert all(f'src="pictures/{picture.name}"' in page for picture in pictures)
    assert "http" not in page.replace("http-equiv", "")


def test_real_needs_a_key_and_says_so_in_a_line(folder: Path) -> None:
    """Nothing is started, nothing is made, nothing is paid."""
    (folder / ".env").unlink(missing_ok=True)
    process, _, err = _begin(folder, "--real")
    assert process.wait(120) == 1
    said = err.read_text("utf-8")
    assert said.startswith("darkroom: --real needs DARKROOM_PLAYGROUND_API_KEY")
    assert said.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    """One line, exit status 1."""
    (folder / "file").write_text("in the way", "utf-8")
    process, _, err = _begin(folder, "--data-dir", "file/demo", **STRANGERS)
    assert process.wait(120) == 1
    said = err.read_text("utf-8")
    assert said.startswith("darkroom: cannot use ")
    assert "file/demo" in said

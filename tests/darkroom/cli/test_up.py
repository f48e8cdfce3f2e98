"""`darkroom up` as a person runs it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

COMMAND = (sys.executable, "-P", "-m", "darkroom", "up", "--data-dir")
UP_WITHIN_S = 150


def open_to_others(folder: Path) -> list[Path]:
    """Everything of `up` that another user could read, list or enter."""
    within = (folder / "my data").rglob("*")
    return [path for path in within if path.lstat().st_mode & 0o077 and not path.is_socket()]


@pytest.mark.enable_socket
def test_up_among_strangers_packages_says_what_can_be_typed_and_stops_on_ctrl_c(
    tmp_path: Path,
) -> None:
    """A path with a space; folders named like our rooms; a second `up` that is refused.

    The address that it prints of the gateway takes a job in, on the way to its picture.
    """
    for room in ("tasks", "storage", "workers"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise SystemExit('not ours')\n")
    told = tmp_path / "told.txt"
    # As an earlier release left it; the folder itself may hold other things.
    (tmp_path / "my data" / "logs").mkdir(parents=True)
    (tmp_path / "my data" / "logs" / "broker.log").touch(0o644)
    with told.open("wb") as out:
        up = subprocess.Popen(
            [*COMMAND, "my data", "--latency-scale", "0"],
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        give_up_s = time.monotonic() + UP_WITHIN_S
        while "Ctrl-C stops everything" not in told.read_text():
            assert up.poll() is None, told.read_text()
            assert time.monotonic() < give_up_s
            time.sleep(0.1)
        second = subprocess.run(
            [*COMMAND, "my data"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert f"is in use by another Darkroom (process {up.pid})" in second.stderr
        env_file = tmp_path / "my data" / "env"
        assert f"  . {shlex.quote('my data/env')}\n" in told.read_text()
        assert env_file.stat().st_mode & 0o077 == 0
        gateway = re.search(r"gateway +(http://127\.0\.0\.1:\d+)  \(started\)", told.read_text())
        assert gateway is not None, told.read_text()
        assert f"curl {gateway[1]}/v1/jobs" in told.read_text()
        assert requests.get(f"{gateway[1]}/readyz", timeout=30).status_code == 200
        body = {"request": {"prompt": "a paper fox", "width": 64, "height": 64}}
        wait = {"Prefer": "wait=60"}
        job = requests.post(f"{gateway[1]}/v1/jobs", json=body, headers=wait, timeout=90)
        assert (job.status_code, job.json()["status"]) == (200, "succeeded"), job.text
        kept = [path.relative_to(tmp_path / "my data") for path in open_to_others(tmp_path)]
        assert kept == []
        names = {path.name for path in (tmp_path / "my data").rglob("*")}
        assert {"darkroom.db", "broker.log", "appendonlydir", "spool", "env"} <= names
        assert list((tmp_path / "my data" / "s3").rglob("*.png"))
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(120) == 0
    assert told.read_text().endswith("Stopped. The data is in my data.\n")
    assert "not ours" not in told.read_text()

"""`darkroom worker` before it has begun."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.enable_socket
def test_a_worker_told_to_stop_before_it_begins_has_not_failed(tmp_path: Path) -> None:
    """A deploy may change its mind while a worker still waits for its broker."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "darkroom", "worker"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            env=os.environ
            | {
                "DARKROOM_BROKER_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
                "DARKROOM_DATABASE_URL": "sqlite:///none.db",
                "DARKROOM_S3_BUCKET": "bucket",
                "DARKROOM_PLAYGROUND_API_KEY": "key",
            },
        )
        connection, _ = silent.accept()
        with connection, worker:
            worker.send_signal(signal.SIGTERM)
            _, said = worker.communicate(timeout=60)
    assert (worker.returncode, said) == (0, b"")

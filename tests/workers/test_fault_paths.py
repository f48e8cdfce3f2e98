"""What a process does while it has no file descriptor left."""

import subprocess
import sys
from pathlib import Path

import pytest

#: Runs in a process of its own, which opens files until it may open no more.
EXHAUSTED = """
import logging, os, resource, socket, sys
from darkroom.settings import load_settings
from darkroom.{module} import {wiring}
from darkroom.logs import configure_logs
from storage.errors import DatabaseUnavailable, ObjectStoreUnavailable
from storage.db.sqlite.errors import SQLITE_ERRORS
from storage.objects.s3_errors import translated as object_translated
from tasks.batches.loader import _patiently
from tasks.db_retry import persist
from tasks.verify.compare import answered

made = {wiring}(load_settings(database_url="sqlite:///jobs.db", s3_bucket="b"))
log = logging.getLogger("tasks.here")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass

sought = []
class Recorder:
    def find_spec(self, name, path=None, target=None):
        sought.append(name)
sys.meta_path.insert(0, Recorder())

def failing_once(error):
    failures = iter([True])
    def step():
        if next(failures, False):
            raise error
        return "done"
    return step

print(persist(failing_once(DatabaseUnavailable("away"))))
print(_patiently(failing_once(DatabaseUnavailable("away")))())
print(answered(failing_once(ObjectStoreUnavailable("away"))))
for form in ("text", "json"):
    configure_logs("INFO", form)
    try:
        with SQLITE_ERRORS.translated("here"), object_translated("here", "bucket", ""):
            socket.create_connection(("localhost", 9), timeout=1)
    except Exception as error:
        log.exception("it failed with %s", type(error).__name__)
print(*sought)
"""


@pytest.mark.parametrize("wiring", ["WorkerWiring", "GatewayWiring"])
def test_the_first_fault_needs_no_import(tmp_path: Path, wiring: str) -> None:
    """Retries, resolving a name, and the log's traceback: to look for a module may open a file."""
    module = {"WorkerWiring": "wiring.worker", "GatewayWiring": "wiring.gateway"}[wiring]
    ran = subprocess.run(
        [sys.executable, "-c", EXHAUSTED.format(module=module, wiring=wiring)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["done", "done", "done", ""], ran.stdout + ran.stderr
    assert "ImportError" not in ran.stderr
    assert "LookupError" not in ran.stderr
    assert ran.stderr.count("it failed with") == 2

"""A supervised child: it comes back when it dies, and is stopped with all it started."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from darkroom.errors import UserError
from darkroom.stack.supervision.process import Child, Program
from darkroom.stack.supervision.spawn import spawn
from tests.darkroom.stack.conftest import is_running, wait_until

NEVER = threading.Event()

DEAF = """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
time.sleep(60)"""


def _python(tmp_path: Path, code: str, **fields: object) -> Child:
    given: dict[str, object] = {
        "name": "child",
        "argv": [sys.executable, "-c", code],
        "env": os.environ,
        "log": tmp_path / "child.log",
        "cwd": tmp_path,
    }
    return Child(Program(**(given | fields)))  # type: ignore[arg-type]  # fields of Program


def _lines_until(child: Child, count: int) -> list[str]:
    lines: list[str] = []

    def enough() -> bool:
        lines.extend(filter(None, [child.look()]))
        return len(lines) >= count

    wait_until(enough)
    return lines


def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    """A child killed with -9 is back with another process id."""
    child = _python(tmp_path, "import time; time.sleep(60)")
    child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    lines = _lines_until(child, 2)
    assert lines == [
        "child was killed by SIGKILL, starting it again in 0.2 s",
        "child started again",
    ]
    assert child.pid not in {None, first}
    child.kill()


def test_a_child_that_keeps_dying_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    """The wait doubles from one death to the next."""
    child = _python(tmp_path, "raise SystemExit(3)", argv=["false"])
    child.start()
    assert _lines_until(child, 3) == [
        "child ended with status 1, starting it again in 0.2 s",
        "child started again",
        "child ended with status 1, starting it again in 0.4 s",
    ]
    child.kill()


def test_stopping_ends_what_the_child_started(tmp_path: Path) -> None:
    """A grandchild that ignores SIGTERM is gone with the child's group."""
    code = """if True:
        import os, pathlib, signal, subprocess, sys, time
        deaf = [sys.executable, "-c", os.environ["DEAF"]]
        grandchild = subprocess.Popen(deaf, stdout=subprocess.PIPE)
        grandchild.stdout.readline()
        pathlib.Path(os.environ["FOLDER"], "pid").write_text(str(grandchild.pid) + "\\n")
        time.sleep(60)"""
    child = _python(tmp_path, code, env=os.environ | {"FOLDER": str(tmp_path), "DEAF": DEAF})
    child.start()
    told = tmp_path / "pid"
    wait_until(lambda: told.exists() and told.read_text().endswith("\n"))
    grandchild = int(told.read_text())
    child.terminate()
    child.wait_ended(NEVER)
    wait_until(lambda: not is_running(grandchild))


def test_a_child_deaf_to_sigterm_is_killed_after_its_time(tmp_path: Path) -> None:
    """No child can hold up the end for longer than its program allows."""
    child = _python(tmp_path, DEAF, stop_within_s=0.2)
    child.start()
    wait_until(lambda: (tmp_path / "child.log").read_bytes() == b"\n")
    child.terminate()
    child.wait_ended(NEVER)
    assert child.pid is None


def test_a_child_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    """The error carries the child's last words and where to read more."""
    child = _python(tmp_path, "raise SystemExit('no room in the moor')", answers=lambda: False)
    child.start()
    with pytest.raises(UserError, match=r"ended at its start: no room in the moor \(its log: .*"):
        child.wait_ready(NEVER)
    child.kill()


def test_a_stranger_on_the_port_is_not_mistaken_for_the_child(tmp_path: Path) -> None:
    """An answer counts only while the child runs."""
    child: Child

    def stranger_answers() -> bool:
        assert child.pid is not None
        return not is_running(child.pid)

    child = _python(tmp_path, "", argv=["false"], answers=stranger_answers)
    child.start()
    with pytest.raises(UserError, match="ended at its start"):
        child.wait_ready(NEVER)
    child.kill()


def test_a_child_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """Readiness has a limit."""
    child = _python(tmp_path, "", argv=["sleep", "60"], answers=lambda: False, ready_within_s=0.1)
    child.start()
    with pytest.raises(UserError, match="child does not answer: it said nothing"):
        child.wait_ready(NEVER)
    child.kill()


def test_waiting_ends_when_asked_to_stop(tmp_path: Path) -> None:
    """Ctrl-C during a start doesn't wait for the server."""
    child = _python(tmp_path, "", argv=["sleep", "60"], answers=lambda: False)
    child.start()
    asked = threading.Event()
    asked.set()
    with pytest.raises(KeyboardInterrupt):
        child.wait_ready(asked)
    child.kill()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """A command that isn't there is one line."""
    child = _python(tmp_path, "", argv=["/nowhere/server"], answers=lambda: False)
    child.start()
    with pytest.raises(UserError, match="cannot start /nowhere/server: No such file or directory"):
        child.wait_ready(NEVER)
    child.kill()


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A child without a log isn't started."""
    child = _python(tmp_path, "", log=tmp_path / "missing" / "child.log")
    with pytest.raises(UserError, match=r"cannot start child: .*child.log: No such file"):
        child.start()


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    """The kernel ties a child to the thread that forked it; Darkroom forks from one that stays."""
    child = _python(tmp_path, "", argv=["sleep", "60"])
    thread = threading.Thread(target=child.start)
    thread.start()
    thread.join()
    assert child.pid is not None
    threading.Event().wait(0.2)
    assert child.look() is None
    assert is_running(child.pid)
    child.kill()


def test_a_child_has_nothing_of_ours_open(tmp_path: Path) -> None:
    """Locks, sockets and the terminal's input are not inherited."""
    log = tmp_path / "log"
    with (tmp_path / "ours").open("w"):
        code = "import os, sys; print(len(sys.stdin.read()), len(os.listdir('/proc/self/fd')) - 1)"
        if not Path("/proc/self/fd").exists():
            code = "print(0, 3)"
        process = spawn([sys.executable, "-c", code], env=os.environ, log=log)
        assert process.wait(60) == 0
    assert log.read_text() == "0 3\n"

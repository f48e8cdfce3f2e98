"""A second checkout to compare with: a git worktree of a revision with its own environment.

The revision measures itself with its own benchmarks, so that neither side imports the other's code.
Both need only support `python -m benchmarks --only NAMES --rounds 1 --json FILE`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.readings.book import Book
from benchmarks.readings.reading import Reading

__all__ = ["Side", "here", "measured", "reference"]

REPO = Path(__file__).parents[2]
#: How long an interrupted measurement may take to stop its servers.
STOP_S = 60.0

#: Measures Darkroom alone with benchmarks from before `--darkroom-only` existed.
WITHOUT_OTHERS = """
import dataclasses, sys
import benchmarks.__main__ as bench
from benchmarks import cpu
def darkroom_alone(servers, scale):
    servers.simulator.put_latency(cpu.LATENCY_S)
    yield from cpu._one_and_two(servers, scale.images)
    servers.simulator.clear_latency()
bench.FIGURES["cpu"] = darkroom_alone
for name in ("FULL", "QUICK"):
    scale = getattr(bench, name)
    setattr(bench, name, dataclasses.replace(scale, calls=scale.calls[-1:]))
sys.exit(bench.main())
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two checkouts.

    Attributes:
        name: in messages.
        root: its folder.
        python: its environment's interpreter.
    """

    name: str
    root: Path
    python: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that measures Darkroom alone in this checkout."""
        source = self.root / "benchmarks" / "__main__.py"
        if "--darkroom-only" in source.read_text("utf-8"):
            return [str(self.python), "-m", "benchmarks", "--darkroom-only", *arguments]
        return [str(self.python), "-c", WITHOUT_OTHERS, *arguments]


def here() -> Side:
    """Return the present checkout, with the interpreter that runs this process."""
    return Side("here", REPO, Path(sys.executable))


@contextmanager
def reference(revision: str, repository: Path = REPO) -> Iterator[Side]:
    """Check a revision out beside this one and install it; both are removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-bench-against-"))
    root = folder / "reference"
    try:
        _git(repository, "worktree", "add", "--detach", "--quiet", str(root), revision)
        if (installer := root / "requirements" / "install.sh").exists():
            _run(["sh", str(installer), "dev"], root)
        yield Side(revision, root, root / ".venv" / "bin" / "python")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _git(repository, "worktree", "prune")


def measured(side: Side, arguments: Sequence[str]) -> Book:
    """Run one measurement in a checkout and return its readings."""
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-readings-") as folder:
        path = Path(folder) / "bench.json"
        _run(side.command([*arguments, "--json", str(path)]), side.root)
        readings = json.loads(path.read_text("utf-8"))["readings"]
    return Book([Reading(**reading) for reading in readings])


def _git(repository: Path, *words: str) -> None:
    git = shutil.which("git")
    if git is None:
        raise RuntimeError("comparing with another revision needs git on the PATH")
    subprocess.run([git, "-C", str(repository), *words], check=True)


def _run(command: Sequence[str], root: Path) -> None:
    """Run a command in a checkout; if this process is interrupted, let it stop its servers."""
    env = {name: value for name, value in os.environ.items() if name not in _OF_THIS_CHECKOUT}
    # Its output is a table of one run, and must not mix with the table of all runs. In its own
    # session it does not get the terminal's Ctrl-C, which would interrupt its cleanup.
    child = subprocess.Popen(
        command, cwd=root, env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        status = child.wait()
    except BaseException:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    if status:
        message = f"a command in {root.name} ended with status {status}; its output is above"
        raise RuntimeError(message)


#: Variables that would lead the other checkout's interpreter to this one's packages.
_OF_THIS_CHECKOUT = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})

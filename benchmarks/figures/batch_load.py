"""Measure a large batch over HTTP or by `darkroom batch` into PostgreSQL, for each side.

`million.py` is the figure of `make bench`: how long it takes until a million lines are accepted.
This tool finds the reason, and is run alone. It has realistic lines with keys, a PostgreSQL that is
durable, and the CPU of each side separately, which depends little on other load.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.servers.processes import charged_s, peak_bytes
from storage.batches.batches import list_batches
from storage.db.database import Database
from storage.migrations.migrate import migrate
from storage.queries.get import get_jobs
from storage.queries.pages import list_jobs
from tests.services.postgres import PostgresServer, installed, running
from tests.services.redis import valkey_in

__all__ = ["Figures", "Side", "measure"]

ROOT = Path(__file__).resolve().parents[2]

#: PostgreSQL's default durability: the tests' server has it turned off.
DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}

WORDS = (
    "a lighthouse in a storm, oil on canvas, heavy brushwork, the beam cutting through rain and "
    "spray, gulls sheltering below the gallery, dawn breaking far out at sea, muted greens"
)


@dataclass(frozen=True, slots=True)
class Side:
    """The resources that one side used.

    Attributes:
        cpu_s: user and system, of its processes together.
        peak_memory_mb: the peak of its largest process; None if it was not measured.
    """

    cpu_s: float
    peak_memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one load.

    Attributes:
        way: `http`, or `command` for `darkroom batch`, which is client and gateway in one.
        lines: jobs accepted.
        body_mb: the size of the submitted body.
        took_s: from the client's first byte to the answer that accepts all lines.
        lines_per_s: the rate over that time.
        idle_memory_mb: the gateway's, before the load.
    """

    way: str
    lines: int
    body_mb: float
    took_s: float
    lines_per_s: float
    client: Side
    gateway: Side | None
    postgresql: Side
    idle_memory_mb: float | None

    def cpu_per_100_000(self) -> dict[str, float]:
        """Return CPU seconds per 100,000 lines, of each side."""
        sides = {"client": self.client, "gateway": self.gateway, "postgresql": self.postgresql}
        return {
            name: round(side.cpu_s / self.lines * 100_000, 2)
            for name, side in sides.items()
            if side is not None
        }

    def as_json(self) -> dict[str, Any]:
        """Return plain values, including those computed."""
        return asdict(self) | {"cpu_s_per_100_000_lines": self.cpu_per_100_000()}


def measure(lines: int, *, way: str = "http") -> Figures:
    """Submit one batch over separate servers, and measure its cost.

    Args:
        lines: the number of lines.
        way: `http` for client and gateway, `command` for `darkroom batch`.

    Raises:
        RuntimeError: the batch did not become so many jobs.
    """
    with _stage() as (folder, environment, postgres, database):
        found = (_by_command if way == "command" else _by_http)(
            lines, folder, environment, postgres
        )
        _check(database, lines)
    return found


def _by_http(
    lines: int, folder: Path, environment: Mapping[str, str], postgres: PostgresServer
) -> Figures:
    with _gateway(environment, folder) as (gateway, url):
        idle_mb = _mb(peak_bytes(gateway.pid))
        before = charged_s(gateway.pid), charged_s(postgres.pid)
        done = _run(
            ["-m", "benchmarks.figures.batch_load", "--send-to", url, "--lines", str(lines)]
        )
        after = charged_s(gateway.pid), charged_s(postgres.pid)
        result = json.loads(done)
        return Figures(
            way="http",
            lines=lines,
            body_mb=result["body_mb"],
            took_s=result["took_s"],
            lines_per_s=round(lines / result["took_s"]),
            client=Side(result["cpu_s"], result["peak_memory_mb"]),
            gateway=Side(round(after[0] - before[0], 2), _mb(peak_bytes(gateway.pid))),
            postgresql=Side(round(after[1] - before[1], 2)),
            idle_memory_mb=idle_mb,
        )


def _by_command(
    lines: int, folder: Path, environment: Mapping[str, str], postgres: PostgresServer
) -> Figures:
    file = folder / "prompts.jsonl"
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in _lines(lines))
    before_s, began = charged_s(postgres.pid), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom", "batch", str(file), "--yes", "--no-wait"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    took_s = time.monotonic() - began
    if status:
        raise RuntimeError(f"darkroom batch ended with {status}")
    return Figures(
        way="command",
        lines=lines,
        body_mb=round(file.stat().st_size / 1e6, 1),
        took_s=round(took_s, 1),
        lines_per_s=round(lines / took_s),
        client=_side_of(used),
        gateway=None,
        postgresql=Side(round(charged_s(postgres.pid) - before_s, 2)),
        idle_memory_mb=None,
    )


def _lines(count: int) -> Iterator[dict[str, Any]]:
    """Yield requests of about 200 characters, like a shop's nightly run."""
    for n in range(count):
        yield {"prompt": f"{WORDS} number {n}", "width": 1024, "height": 768, "key": f"sku-{n}"}


def _send(url: str, lines: int) -> None:
    """Be the client: submit the lines from a generator, and return the cost."""
    from darkroom_client import Client  # noqa: PLC0415 - only the client's process has it loaded

    began = time.monotonic()
    with Client(url) as client:
        batch = client.submit_many(_lines(lines), name="benchmark")
    took_s = time.monotonic() - began
    side = _side_of(resource.getrusage(resource.RUSAGE_SELF))
    size = sum(len(json.dumps(line)) for line in _lines(min(lines, 1000))) / min(lines, 1000)
    result = {"took_s": round(took_s, 1), "body_mb": round(size * lines / 1e6, 1), **asdict(side)}
    if batch.state.total != lines:
        raise RuntimeError(f"{batch.state.total} jobs of {lines} lines")
    sys.stdout.write(json.dumps(result))


@contextmanager
def _stage() -> Iterator[tuple[Path, dict[str, str], PostgresServer, Database]]:
    """Yield a separate PostgreSQL and Valkey, an empty table, and the settings that name them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="darkroom-bench-")))
        postgres = stack.enter_context(running(stack.enter_context(installed()), DURABLE))
        redis = valkey_in(folder, "--appendonly", "no")
        redis.start()
        stack.callback(redis.stop)
        url = postgres.new_database()
        database = Database(url)
        stack.callback(database.close)
        migrate(database)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "client"))),
            "TMPDIR": str(folder),
            "DARKROOM_DATABASE_URL": url,
            "DARKROOM_BROKER_URL": redis.url,
            "DARKROOM_S3_BUCKET": "not-needed-for-a-batch",
            "DARKROOM_PLAYGROUND_API_KEY": "not-needed-either",
            "DARKROOM_GATEWAY_PORT": "0",
        }
        yield folder, environment, postgres, database


@contextmanager
def _gateway(
    environment: Mapping[str, str], folder: Path
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom", "gateway"],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, _address(process.stderr)
    finally:
        process.terminate()
        process.communicate()


def _address(stdout: IO[str] | None) -> str:
    for line in stdout or ():
        if found := re.search(r"listening on (http://\S+)", line):
            return found[1]
    raise RuntimeError("the gateway did not start")


def _run(arguments: Sequence[str]) -> str:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "client")))
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def _check(database: Database, lines: int) -> None:
    """Check for one open batch with so many jobs, and read their first page."""
    [batch] = list_batches(database)
    page = list_jobs(database, batch_id=batch.id, limit=100)
    whole = get_jobs(database, [job.id for job in page])
    if batch.opened_at is None or batch.total != lines or len(whole) != min(lines, 100):
        raise RuntimeError(f"batch {batch.id} is not what was submitted")


def _mb(size_bytes: int) -> float:
    return round(size_bytes / 1e6, 1)


def _side_of(used: resource.struct_rusage) -> Side:
    return Side(round(used.ru_utime + used.ru_stime, 2), _mb(used.ru_maxrss * 1024))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure once and print JSON."""
    parser = argparse.ArgumentParser(prog="batch_load", description=__doc__)
    add = parser.add_argument
    add("--lines", type=int, default=1_000_000, help="how many (default: a million)")
    add("--way", choices=("http", "command"), default="http", help="over HTTP, or darkroom batch")
    add("--send-to", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.send_to:
        _send(args.send_to, args.lines)
    else:
        sys.stdout.write(json.dumps(measure(args.lines, way=args.way).as_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

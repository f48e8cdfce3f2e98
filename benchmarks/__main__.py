"""`python -m benchmarks`: measure, and print one table."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.compare.against import PAIRS, QUICK_PAIRS, compare_with
from benchmarks.figures.api.accept_http import accept_http
from benchmarks.figures.api.accept_messages import accept_messages
from benchmarks.figures.api.reads import reads
from benchmarks.figures.api.waits import waits
from benchmarks.figures.api.webhooks_out import webhooks_out
from benchmarks.figures.backlog import backlog
from benchmarks.figures.cpu import cpu, cpu_over_tls
from benchmarks.figures.fast_paths import fast_paths
from benchmarks.figures.flight import flight
from benchmarks.figures.idle import idle
from benchmarks.figures.leader import leader
from benchmarks.figures.million import million
from benchmarks.figures.plans import plans
from benchmarks.figures.trips import trips
from benchmarks.readings.book import Book
from benchmarks.readings.reading import Reading
from benchmarks.report.page import write_page
from benchmarks.report.paths import paths_table
from benchmarks.report.plots import write_plots
from benchmarks.report.report import made_on, table, write_json
from benchmarks.report.rows import rows
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.servers.servers import Servers

DOCS = Path(__file__).parents[1] / "docs"
Measure = Callable[[Servers, Scale], Iterator[Reading]]

FIGURES: dict[str, Measure] = {
    "paths": fast_paths,
    "cpu": cpu,
    "tls": cpu_over_tls,
    "flight": flight,
    "idle": idle,
    "trips": trips,
    "million": million,
    "backlog": backlog,
    "plans": plans,
    "leader": leader,
    "accept-http": accept_http,
    "accept-messages": accept_messages,
    "reads": reads,
    "waits": waits,
    "webhooks-out": webhooks_out,
}
#: Options that replace a number of the scale.
SIZES = ("rounds", "images", "lines", "backlog", "rows")
#: Left out of a comparison unless they are named: an older revision's benchmarks lack them.
RECENT = {"paths", "tls", "accept-http", "accept-messages", "reads", "waits", "webhooks-out"}
#: Cheap enough to be measured in every round.
REPEATED = {"paths", "cpu", "tls"}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description="Measures what an image costs and how many calls a process holds.",
        epilog="example: python -m benchmarks --quick --only cpu trips",
    )
    add = parser.add_argument
    names = " ".join(FIGURES)
    add("--only", nargs="+", choices=FIGURES, metavar="NAME", help=f"only these: {names}")
    add("--quick", action="store_true", help="a tenth of the size, for a look at the way through")
    add("--rounds", type=int, metavar="N", help="how often the cheap figures are measured")
    add("--images", type=int, metavar="N", help="images that Darkroom makes in a round")
    add("--lines", type=int, metavar="N", help="lines of the batch that the gateway takes in")
    add("--backlog", type=int, metavar="N", help="jobs queued, against a thousand")
    add("--rows", type=int, metavar="N", help="rows of the table whose plans are looked at")
    add(
        "--json",
        type=Path,
        default=Path("bench.json"),
        metavar="FILE",
        help="where every reading goes (default: %(default)s)",
    )
    add("--darkroom-only", action="store_true", help="measure no other queue and no raw limit")
    add(
        "--against",
        metavar="REF",
        help="measure this checkout and git revision REF in turns; exit status 1 if it is worse",
    )
    add("--pairs", type=int, metavar="N", help=f"with --against: pairs of runs, {PAIRS} or more")
    add("--write-docs", action="store_true", help="put the run into docs/performance.md")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the requested figures."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _arguments()
    args = parser.parse_args(words)
    if args.against:
        if args.write_docs or args.rounds:
            parser.error("--against goes with neither --write-docs nor --rounds; see --pairs")
        return _compare(parser, args)
    given = {name: getattr(args, name) for name in SIZES if getattr(args, name) is not None}
    scale = dataclasses.replace(
        QUICK if args.quick else FULL, is_darkroom_only=args.darkroom_only, **given
    )
    book = Book()
    with Servers.started() as servers:
        for reading in _measure(servers, scale, args.only or list(FIGURES)):
            book.readings.append(reading)
            _tell(reading)
            write_json(args.json, book, words)
    write_plots(args.json.parent, book)
    tables = (paths_table(book), table(book) if rows(book) else "")
    sys.stdout.write("\n" + "\n\n".join([*filter(None, tables), made_on()]) + "\n")
    if args.write_docs:
        # The path of the JSON file is left out of the page.
        where = {"--json", str(args.json), f"--json={args.json}"}
        said = [word for word in words if word not in where]
        write_page(DOCS, book, " ".join(["python -m benchmarks", *said]))
    return 0


def _compare(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Measure this checkout and another alternately."""
    pairs = args.pairs or (QUICK_PAIRS if args.quick else PAIRS)
    if pairs < PAIRS and not args.quick:
        parser.error(f"--pairs must be {PAIRS} or more; --quick allows fewer for a short try")
    sizes = {name: getattr(args, name) for name in SIZES if name != "rounds"}
    given = [word for name, n in sizes.items() if n is not None for word in (f"--{name}", str(n))]
    arguments = [
        "--only",
        *(args.only or [name for name in FIGURES if name not in RECENT]),
        "--rounds=1",
        *(["--quick"] if args.quick else []),
        *given,
    ]
    return compare_with(
        args.against, arguments, pairs=pairs, is_gate=not args.quick, json_path=args.json
    )


def _tell(reading: Reading) -> None:
    """Print a line as soon as a result is known, because a run takes minutes."""
    numbers = "  ".join(f"{name} {value:.2f}" for name, value in reading.numbers.items())
    sys.stderr.write(f"{reading.figure} · {reading.contender} · {numbers}\n")
    sys.stderr.flush()


def _measure(servers: Servers, scale: Scale, names: Sequence[str]) -> Iterator[Reading]:
    for turn in range(scale.rounds):
        for name in names:
            if turn == 0 or name in REPEATED:
                yield from FIGURES[name](servers, scale)


if __name__ == "__main__":
    sys.exit(main())

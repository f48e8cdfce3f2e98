"""`python -m chaos`: play the matrix, and print which promises were kept and which were broken."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos import FULL, MATRIX, QUICK, SMALL, Ground, Result, Row, run_row
from chaos.report import table, write_json
from chaos.textbook.beside import BESIDE, play_beside


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chaos",
        description="Injects faults into a fleet under load and counts every job and paid call.",
        epilog="example: python -m chaos --quick --rows killed flush",
    )
    names = [row.name for row in MATRIX]
    add = parser.add_argument
    add("--rows", nargs="+", choices=names, metavar="NAME", help=f"only these: {' '.join(names)}")
    add("--jobs", type=int, metavar="N", help="jobs a row")
    add("--quick", action="store_true", help="a hundred jobs a row instead of thousands")
    add("--small", action="store_true", help="the size that `make test` runs")
    add("--json", type=Path, metavar="FILE", help="write the results there as well")
    add("--no-textbook", action="store_true", help="leave the plain Celery task out")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Play the requested rows; return 1 if any promise was broken, else 0."""
    args = _arguments().parse_args(argv)
    scale = SMALL if args.small else QUICK if args.quick else FULL
    if args.jobs:
        scale = dataclasses.replace(scale, jobs=args.jobs, first_jobs=args.jobs)
    rows = [row for row in MATRIX if not args.rows or row.name in args.rows]
    results: list[Result] = []
    with Ground.of(scale) as ground:
        for row in rows:
            results.extend(_play(ground, row, beside=not args.no_textbook))
            if args.json:  # after each row, because a run of an hour may be interrupted
                write_json(args.json, results)
    sys.stdout.write(f"\n{table(results)}\n")
    return 1 if any(result.broken for result in results) else 0


def _play(ground: Ground, row: Row, *, beside: bool) -> list[Result]:
    result = run_row(ground, row)
    verdict = result.skipped or "; ".join(result.broken) or "kept"
    sys.stdout.write(f"{row.name}: {verdict} ({result.took_s:.0f} s)\n")
    sys.stdout.flush()
    if not beside or row.name not in BESIDE:
        return [result]
    return [result, play_beside(ground, row.name, row.fault)]


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks`: measure, and print one table."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.cpu import cpu
from benchmarks.ground import ground

FIGURES = ["cpu"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="What an image costs.")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=FIGURES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1600)
    asked = parser.parse_args(argv)
    with ground() as servers:
        for _ in range(asked.rounds):
            for reading in cpu(servers, images=asked.images):
                numbers = "  ".join(f"{n} {v:8.2f}" for n, v in reading.numbers.items())
                sys.stdout.write(f"{reading.figure} {reading.contender:18} {numbers}\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A client that submits a batch of many lines: `python -m benchmarks.servers.upload`.

It is a separate process with `darkroom-client` and no other Darkroom package, so that its memory is
what a user's would be. The lines are made as they are sent. It prints the seconds until the batch
was accepted, and its own peak memory.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence

from darkroom_client import Client

__all__ = ["main"]


def _lines(count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        yield {"prompt": f"a quiet harbour at dawn, number {number}", "seed": 1 + number % 60_000}


def main(argv: Sequence[str] | None = None) -> int:
    """Submit the lines and print the result."""
    parser = argparse.ArgumentParser(prog="upload", description="Hands in a batch.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--lines", type=int, required=True)
    args = parser.parse_args(argv)
    began = time.monotonic()
    with Client(args.url) as client:
        batch = client.submit_many(_lines(args.lines))
    seconds = time.monotonic() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    result = {"id": batch.id, "seconds": seconds, "peak_mb": peak_mb}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

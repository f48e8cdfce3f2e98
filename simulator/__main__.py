"""Run the simulator's command line: `python -m simulator`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.api import Api
from simulator.app import build_app
from simulator.errors import ControlRefused
from simulator.faults.fault_book import FaultBook, read_rules
from simulator.faults.latency import Latency
from simulator.ledger import Ledger
from simulator.server import serve
from simulator.studio import Studio


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulator",
        description="A stand-in for the Playground image API. Nothing it makes costs money.",
        epilog="example: python -m simulator --port 8100 --latency-scale 0.1",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="TCP port; 0 takes a free one (default)")
    add("--api-key", help="answer 401 to calls without this Bearer key (default: ask for none)")
    add(
        "--latency-scale",
        type=float,
        default=1.0,
        metavar="F",
        help="factor on the usual 5-15 s; 0 answers at once (default: %(default)s)",
    )
    add(
        "--latency-range",
        metavar="LOW-HIGH",
        help="seconds a call takes, instead of what steps and size say (example: 1-3)",
    )
    add("--canned", action="store_true", help="hand out one prepared picture of 1.5 MB")
    add("--ledger", type=Path, metavar="FILE", help="keep the charged calls in this file")
    add("--faults", type=Path, metavar="FILE", help="JSON list of fault rules to start with")
    add("--tls-cert", type=Path, metavar="FILE", help="speak TLS with this certificate (PEM)")
    add("--tls-key", type=Path, metavar="FILE", help="its private key, if in a file of its own")
    return parser


def _latency(scale: float, range_text: str | None) -> Latency:
    if range_text is None:
        return Latency(scale)
    low, _, high = range_text.partition("-")
    try:
        return Latency(scale, (float(low), float(high or low)))
    except ValueError as error:
        raise ControlRefused("--latency-range is LOW-HIGH in seconds") from error


def _faults(path: Path | None) -> FaultBook:
    if path is None:
        return FaultBook()
    try:
        return FaultBook(read_rules(json.loads(path.read_text("utf-8"))))
    except ValueError as error:
        raise ControlRefused(f"{path} is not JSON: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is stopped.

    Args:
        argv: Arguments of the command line; the process's own if None.

    Returns:
        The exit status.
    """
    args = _arguments().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # the simulator logs what matters itself
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    try:
        latency = _latency(args.latency_scale, args.latency_range)
        faults = _faults(args.faults)
        ledger = Ledger(args.ledger)
    except (ControlRefused, OSError) as refused:
        sys.stderr.write(f"simulator: {refused}\n")
        return 2
    studio = Studio(canned=args.canned)
    api = Api(studio, ledger, faults, latency, args.api_key)
    try:
        tls = {"tls_cert": args.tls_cert, "tls_key": args.tls_key}
        serve(build_app(api), host=args.host, port=args.port, **tls)
    except (OSError, OverflowError) as failed:
        sys.stderr.write(f"simulator: cannot listen on {args.host}:{args.port}: {failed}\n")
        return 1
    finally:
        studio.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

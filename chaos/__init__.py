"""Inject faults under load, and count every job and every paid call: `make chaos`.

The package starts real workers over real servers, kills, stops or disconnects them, and compares
the result with the promises. No other package imports it, and it is not shipped. Tests of single
functions are in `tests/`, and cost measurements in `benchmarks/`.
"""

from chaos.fleet.servers import Ground
from chaos.matrix import MATRIX, Row
from chaos.play import run_row
from chaos.result import Result
from chaos.scale import FULL, QUICK, SMALL, Scale

__all__ = ["FULL", "MATRIX", "QUICK", "SMALL", "Ground", "Result", "Row", "Scale", "run_row"]

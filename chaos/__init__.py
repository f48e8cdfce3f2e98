"""Faults injected under load, and every job and every paid call counted: `make chaos`.

A room of its own above all others: it starts real workers over real servers, kills, stops and cuts
them, and holds what is left against what was promised. Nothing imports it, and it is not shipped.
"""

from chaos.fleet.servers import Ground
from chaos.matrix import MATRIX, Row
from chaos.result import Result
from chaos.scale import FULL, QUICK, SMALL, Scale
from chaos.stage import run_row

__all__ = ["FULL", "MATRIX", "QUICK", "SMALL", "Ground", "Result", "Row", "Scale", "run_row"]

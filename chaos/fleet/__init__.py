"""Servers, workers and gateways as processes that a row can kill, disconnect or stop.

The package starts them and reads their tables, logs and spools. What happens to them in which order
is in `chaos/rows/`; judging the result is in `chaos/stage.py` and `chaos/tally.py`.
"""

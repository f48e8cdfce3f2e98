"""Measure two checkouts alternately, and gate on their ratio.

The measurements themselves are in `benchmarks/figures/`; each checkout uses its own.
"""

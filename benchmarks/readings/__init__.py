"""What is measured, as data: one reading, and the book of all readings of a run.

`benchmarks/figures/` makes them, `benchmarks/report/` formats them.
"""

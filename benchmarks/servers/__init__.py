"""The servers and helper processes of a run, and the reading of their CPU and memory.

The measured systems themselves are in `benchmarks/contenders/`.
"""

"""Measure what an image costs and how many calls a process holds: `make bench`.

The package starts real workers of Darkroom and of other systems over real servers. It reads the CPU
and memory that the operating system charged them. No other package imports it, and it is not
shipped. Faults under load are in `chaos/`.
"""

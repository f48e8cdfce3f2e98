"""The systems that are measured: Darkroom, textbook workers, the raw limit.

Each can start, run jobs and report its processes. What is measured on them is in
`benchmarks/figures/`.
"""

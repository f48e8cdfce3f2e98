"""The figures that are measured, a module each.

A figure drives contenders over servers and returns readings. Formatting them is in
`benchmarks/report/`.
"""

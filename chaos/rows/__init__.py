"""The rows of the fault matrix: a file per kind of fault and a function per row.

A row injects its fault and adds its own promises. Starting processes is in `chaos/fleet/`; the
promises that hold in every row are in `chaos/stage.py`.
"""

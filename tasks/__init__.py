"""What is done with jobs: taken in, dispatched, generated, uploaded.

Knows the paid API (`playground`) and the places where things are kept (`storage`); knows nothing
of processes, signals, HTTP or the command line.
"""

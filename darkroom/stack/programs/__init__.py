"""Describe each program of a stack: its binary, command line, environment, and when it is ready.

Nothing is started here; `stack.py` and `supervision/` do that.
"""

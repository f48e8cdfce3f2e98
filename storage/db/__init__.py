"""Connections to the results table, for both databases: engines, limits, errors, group commit.

No statement about jobs.
"""

"""Connect to the results table on both databases: engines, limits, errors, group commit.

Statements about jobs are in other packages.
"""

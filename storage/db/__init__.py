"""Connect to the results table on both databases: limits, errors, group commit, engines.

Statements about jobs are in other packages.
"""

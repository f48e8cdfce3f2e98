"""Change the state of a job, with one module for each transition.

`intake` inserts new rows.
"""

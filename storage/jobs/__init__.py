"""The transitions of a job, one module each: claim, finish, release, adopt, rescue, cancel.

New rows are in `intake`.
"""

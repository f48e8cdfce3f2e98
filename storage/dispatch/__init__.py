"""Choose which due jobs are sent out next: reservations, fairness, limits of owners.

The count of an owner's backlog, a job's queue position and the choice of a probe are here as well.
Sending messages and electing the leader are not: see `tasks/dispatch` and `fleet`.
"""

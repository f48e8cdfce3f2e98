"""Choose which due jobs are sent out next.

Reservations, fairness between streams, limits of owners.
"""

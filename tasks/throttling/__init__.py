"""Hold calls back after failures.

Circuit breaker, pauses of a worker and of the fleet, limits on bytes.
"""

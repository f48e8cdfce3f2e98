"""Share state between the processes of a fleet: leases, leadership, pause, throttle, daily calls.

The rate limiter in Redis is not here (`tasks/rate_limit`), nor are the limits of single owners
(`owners`).
"""

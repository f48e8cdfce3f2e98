"""Hold calls back after failures and while the fleet is paused or slowed down.

The call gate, the circuit breaker, the pause of one worker, the sync with the fleet's row and the
byte limiter are here. Limits on calls per second and in flight are in `rate_limit`; whether a job
is retried is decided in `execution`.
"""

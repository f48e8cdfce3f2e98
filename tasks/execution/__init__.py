"""Run one job on a thread: claim, call, record.

What holds calls back is in `throttling` and `rate_limit`.
"""

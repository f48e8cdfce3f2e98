"""Store owners: their limits, their API keys and their calls of the day.

Limits are applied elsewhere: in `dispatch/owner_limits.py` and by the gateway.
"""

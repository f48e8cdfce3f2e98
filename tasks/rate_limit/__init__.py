"""The call budget: calls per second and calls in flight, over the whole fleet.

Knows Redis and the count of living workers; knows nothing of jobs, claims or the API.
"""

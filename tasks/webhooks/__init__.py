"""Deliver webhooks and Celery callbacks: claim, check the address, sign, send, schedule retries.

`delivery_loop.py` runs the threads, `attempt.py` makes one attempt, and the other modules serve a
single step of it. The rows of deliveries, their log and the owners' secrets are in
`storage.webhooks`; webhooks that Darkroom receives are in `gateway.hooks`.
"""

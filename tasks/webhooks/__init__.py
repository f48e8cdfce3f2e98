"""Deliver webhooks and Celery callbacks: claim, check the address, sign, send, schedule retries.

`loop/` claims and runs the threads, `attempt.py` makes one attempt, and `schedule.py` decides what
follows. An attempt checks the address (`addresses/`) and posts (`sending/`), or sends a Celery task
(`on_end/`). The rows of deliveries, their log and the owners' secrets are in
`storage.webhooks`; webhooks that Darkroom receives are in `gateway.hooks`.
"""

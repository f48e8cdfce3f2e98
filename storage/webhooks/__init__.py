"""Outgoing webhooks, the part that is kept: deliveries, their log, and what signs them.

They are written by the end that they tell of, which is the business of `outbox.py` outside this
folder. Whether and when an attempt is made is decided by whoever uses this.
"""

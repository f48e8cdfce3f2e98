"""What users' systems notice of a fleet: submissions, reads, waits, and webhooks.

A figure here drives a gateway or a worker from outside, and reads what that was charged.
"""

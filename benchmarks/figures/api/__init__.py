"""What users' systems notice of a fleet: reads, waits, and webhooks to their receivers.

A figure here drives a gateway or a worker from outside, and reads what that was charged.
"""

"""Receive incoming webhooks and turn them into jobs.

The file of hooks sets, for each hook, how its sender signs, which deliveries become jobs, and how a
payload maps to a request. This package checks the file and the deliveries. It does not store jobs:
they go through the same intake as all others.
"""

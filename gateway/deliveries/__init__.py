"""The routes of outgoing webhook deliveries: list, show, replay.

Sending a delivery is not here; the workers do it, in `tasks/webhooks`.
"""

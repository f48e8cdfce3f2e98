"""Receive task messages from the broker: transports, checks of the content, delays, rejections.

Every message passes the gate (`gate.py`) before Celery's code and the tasks use it. The connections
that send messages are in `tasks.broker`, and the tasks that serve them are in `tasks.celery_app`.
"""

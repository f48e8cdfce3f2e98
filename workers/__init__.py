"""The worker process: what runs beside Celery, and how it starts, watches and stops.

What is done with jobs is in `tasks`; this room only gives it a process to live in.
"""

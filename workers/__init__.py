"""Run a worker process: the components beside Celery, their start, supervision and stop.

Consuming, heartbeat, signals, the watchdog, memory and CPU settings are here. What is done with
jobs is in `tasks`; which components a worker gets is decided in `darkroom.wiring`.
"""

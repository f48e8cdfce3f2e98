"""The worker process: what runs beside Celery, and how it starts, watches and stops.

What is done with jobs is in `tasks`; this room only gives it a process to live in.
"""

from workers.bootsteps import PoolRefused, install
from workers.crew import Crew
from workers.flow import Flow
from workers.heartbeat import Heartbeat
from workers.one_core import OneCore
from workers.one_heap import share_one_heap
from workers.refresh import DispatchRefresh
from workers.watchdog import PATIENT_LOOKS, Watchdog, WatchedQueue, leave_for_supervisor

__all__ = [
    "PATIENT_LOOKS",
    "Crew",
    "DispatchRefresh",
    "Flow",
    "Heartbeat",
    "OneCore",
    "PoolRefused",
    "Watchdog",
    "WatchedQueue",
    "install",
    "leave_for_supervisor",
    "share_one_heap",
]

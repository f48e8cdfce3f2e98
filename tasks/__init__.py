"""What is done with jobs: taken in, dispatched, generated, uploaded.

Knows the paid API (`playground`) and the places where things are kept (`storage`); knows nothing
of processes, signals, HTTP or the command line.
"""

from tasks.celery_app import make_app
from tasks.dispatch import Dispatch
from tasks.dispatcher import Dispatcher, DispatcherPace
from tasks.doorbell import Doorbell
from tasks.executor import Executor
from tasks.gates import ByteGate
from tasks.generate import CallLimits, Generate
from tasks.inbox import Inbox
from tasks.intake import Intake, RequestLimits
from tasks.names import GENERATE, SUBMIT, Queues
from tasks.options import JobOptions
from tasks.pace import Pace
from tasks.policy import Decision, RetryPolicy
from tasks.submit import Submit
from tasks.uploads import Uploads

__all__ = [
    "GENERATE",
    "SUBMIT",
    "ByteGate",
    "CallLimits",
    "Decision",
    "Dispatch",
    "Dispatcher",
    "DispatcherPace",
    "Doorbell",
    "Executor",
    "Generate",
    "Inbox",
    "Intake",
    "JobOptions",
    "Pace",
    "Queues",
    "RequestLimits",
    "RetryPolicy",
    "Submit",
    "Uploads",
    "make_app",
]

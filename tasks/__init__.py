"""What is done with jobs: taken in, dispatched, generated, uploaded.

Knows the paid API (`playground`) and the places where things are kept (`storage`); knows nothing
of processes, signals, HTTP or the command line.
"""

from tasks.batch import Batches, Loaded
from tasks.beside import Beside
from tasks.celery_app import make_app
from tasks.cells import JOB_FIELDS, parameters, value_of
from tasks.checked import BatchOptions, CheckedBatch
from tasks.dispatch import Dispatch
from tasks.dispatcher import Dispatcher, DispatcherPace
from tasks.doorbell import Doorbell
from tasks.errors import (
    BatchFaulty,
    BatchKeyTaken,
    LineFault,
    LinesUnreadable,
    StagingFailed,
    TaskError,
)
from tasks.executor import Executor
from tasks.gates import ByteGate
from tasks.generate import CallLimits, Generate
from tasks.inbox import Inbox
from tasks.intake import Intake, RequestLimits
from tasks.lines import FileFormat, Line, LineFile, format_of
from tasks.names import GENERATE, SUBMIT, Queues
from tasks.options import JobOptions
from tasks.pace import Pace
from tasks.policy import Decision, RetryPolicy
from tasks.submit import Submit
from tasks.uploads import Uploads

__all__ = [
    "GENERATE",
    "JOB_FIELDS",
    "SUBMIT",
    "BatchFaulty",
    "BatchKeyTaken",
    "BatchOptions",
    "Batches",
    "Beside",
    "ByteGate",
    "CallLimits",
    "CheckedBatch",
    "Decision",
    "Dispatch",
    "Dispatcher",
    "DispatcherPace",
    "Doorbell",
    "Executor",
    "FileFormat",
    "Generate",
    "Inbox",
    "Intake",
    "JobOptions",
    "Line",
    "LineFault",
    "LineFile",
    "LinesUnreadable",
    "Loaded",
    "Pace",
    "Queues",
    "RequestLimits",
    "RetryPolicy",
    "StagingFailed",
    "Submit",
    "TaskError",
    "Uploads",
    "format_of",
    "make_app",
    "parameters",
    "value_of",
]

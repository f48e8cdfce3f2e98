"""What is done with jobs: taken in, dispatched, generated, uploaded.

Knows the paid API (`playground`) and the places where things are kept (`storage`); knows nothing
of processes, signals, HTTP or the command line.
"""

from tasks.batch import Batches
from tasks.beside import Beside
from tasks.breaker import Breaker
from tasks.broker_errors import BROKER_ERRORS
from tasks.budget import BudgetLimits, CallBudget, Ledger, PlaceWatch, place_of
from tasks.call import Call
from tasks.celery_app import make_app
from tasks.cells import JOB_FIELDS, parameters, value_of
from tasks.checked import BatchOptions, CheckedBatch
from tasks.deliver import Deliver
from tasks.deliverer import Deliverer
from tasks.dispatch import Dispatch
from tasks.dispatcher import Dispatcher, DispatcherPace
from tasks.doorbell import Doorbell
from tasks.earlier import Earlier
from tasks.errors import (
    BatchFaulty,
    BatchKeyTaken,
    LineFault,
    LinesUnreadable,
    StagingFailed,
    TaskError,
)
from tasks.excess import MAX_VALUES, excess_of
from tasks.executor import Executor
from tasks.fleet_watch import FleetWatch, WatchPace
from tasks.gates import ByteGate
from tasks.generate import Claims, Generate
from tasks.held import Held
from tasks.inbox import Inbox
from tasks.intake import Intake, RequestLimits
from tasks.lines import FileFormat, Line, LineFile, format_of
from tasks.load import Loaded
from tasks.messages import (
    MessageFault,
    MessageGate,
    Postpone,
    RejectedMessages,
    is_fault_of_message,
)
from tasks.names import GENERATE, SUBMIT, Queues
from tasks.on_end import OnEnd, OnEndQueues, on_end_of, queue_is_reserved
from tasks.open_claims import OpenClaims
from tasks.options import JobOptions, parse_options
from tasks.pace import Pace
from tasks.policy import Decision, RetryPolicy
from tasks.queue_depth import QueueDepth
from tasks.reconcile import Reconcile
from tasks.settle import Settle
from tasks.spool_space import SpoolSpace
from tasks.stored_images import StoredImages
from tasks.strict_json import repeated_key
from tasks.submit import Submission, Submit
from tasks.sweep import Sweep
from tasks.task_sender import TaskSender
from tasks.uploads import Uploads
from tasks.window import Window
from tasks.worker_pause import Dispatches, WorkerPause
from tasks.worker_state import PauseTimes, WorkerState

__all__ = [
    "BROKER_ERRORS",
    "GENERATE",
    "JOB_FIELDS",
    "MAX_VALUES",
    "SUBMIT",
    "BatchFaulty",
    "BatchKeyTaken",
    "BatchOptions",
    "Batches",
    "Beside",
    "Breaker",
    "BudgetLimits",
    "ByteGate",
    "Call",
    "CallBudget",
    "CheckedBatch",
    "Claims",
    "Decision",
    "Deliver",
    "Deliverer",
    "Dispatch",
    "Dispatcher",
    "DispatcherPace",
    "Dispatches",
    "Doorbell",
    "Earlier",
    "Executor",
    "FileFormat",
    "FleetWatch",
    "Generate",
    "Held",
    "Inbox",
    "Intake",
    "JobOptions",
    "Ledger",
    "Line",
    "LineFault",
    "LineFile",
    "LinesUnreadable",
    "Loaded",
    "MessageFault",
    "MessageGate",
    "OnEnd",
    "OnEndQueues",
    "OpenClaims",
    "Pace",
    "PauseTimes",
    "PlaceWatch",
    "Postpone",
    "QueueDepth",
    "Queues",
    "Reconcile",
    "RejectedMessages",
    "RequestLimits",
    "RetryPolicy",
    "Settle",
    "SpoolSpace",
    "StagingFailed",
    "StoredImages",
    "Submission",
    "Submit",
    "Sweep",
    "TaskError",
    "TaskSender",
    "Uploads",
    "WatchPace",
    "Window",
    "WorkerPause",
    "WorkerState",
    "excess_of",
    "format_of",
    "is_fault_of_message",
    "make_app",
    "on_end_of",
    "parameters",
    "parse_options",
    "place_of",
    "queue_is_reserved",
    "repeated_key",
    "value_of",
]

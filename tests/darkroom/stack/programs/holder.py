"""Stands in for `darkroom up`: holds a stack until a signal, and prints its children's ids."""

import json
import os
import sys
from pathlib import Path

from darkroom.stack import LocalStack, StackPlan, stop_on_signals

data_dir, worker = map(Path, sys.argv[1:])
plan = StackPlan(
    data_dir=data_dir,
    environment=os.environ,
    playground_url="http://127.0.0.1:9/nobody-calls-it",
    worker_command=(sys.executable, str(worker)),
)
with stop_on_signals() as stop, LocalStack(plan, stop=stop) as stack:
    sys.stdout.write(json.dumps(stack.pids()) + "\n")
    sys.stdout.flush()
    stack.wait()

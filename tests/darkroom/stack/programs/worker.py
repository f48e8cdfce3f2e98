"""A stand-in for `darkroom worker`: reports its environment, then waits for SIGTERM.

With STAND_IN_DRAIN_S it takes that long to end, and says when it did so in its own time.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

report = Path(os.environ["STAND_IN_REPORT"])
ending = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ending.set())
half = report.with_suffix(f".{os.getpid()}")
half.write_text(json.dumps(dict(os.environ) | {"CWD": os.getcwd()}), "utf-8")  # noqa: PTH109 - as told
half.replace(report)
while not ending.wait(0.05):
    pass
threading.Event().wait(float(os.environ.get("STAND_IN_DRAIN_S", "0")))
report.with_name("drained").touch()
sys.exit(0)

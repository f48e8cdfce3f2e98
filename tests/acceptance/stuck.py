"""`darkroom worker` with a fault not seen in practice: submit messages hold their thread.

Run as a module, by a test. The watchdog is as quick as a test wants it.
"""

import threading
from typing import Any

import workers.starvation_watchdog
from darkroom.__main__ import main
from tasks.submission.message_groups import MessageGroups


def hold(_: MessageGroups, group: Any) -> None:
    """Never come back."""
    del group
    threading.Event().wait()


if __name__ == "__main__":
    vars(workers.starvation_watchdog).update(EVERY_S=0.2)
    type.__setattr__(MessageGroups, "_process", hold)
    main()

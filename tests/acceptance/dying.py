"""`darkroom worker` that is killed while it accepts a group of messages: `kill -9` by itself.

Run as a module, by a test. The first argument is the step before which it dies: `commit`, `ack`
(the rows are committed) or `end` (the messages are acknowledged). The second is how many messages
it gathers before it writes a group.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from darkroom.__main__ import main
from tasks.messages.group_ack import GroupAck
from tasks.submission.accept_groups import AcceptGroups
from tasks.submission.message_groups import MessageGroups

LOOK_AGAIN_S = 0.01


def die() -> None:
    """End as the kernel or an operator ends it."""
    os.kill(os.getpid(), signal.SIGKILL)


def gather(count: int) -> None:
    """Have each group written only after so many messages have come to this worker."""
    gathered: list[Any] = []
    add, write = MessageGroups.add, AcceptGroups.write

    def add_and_note(groups: MessageGroups, message: Any, body_bytes: int) -> None:
        add(groups, message, body_bytes)
        gathered.append(message)

    def write_later(groups: AcceptGroups, members: Any) -> Any:
        while len(gathered) < count:
            time.sleep(LOOK_AGAIN_S)
        return write(groups, members)

    type.__setattr__(MessageGroups, "add", add_and_note)
    type.__setattr__(AcceptGroups, "write", write_later)


def dying_in_write(write: Callable[..., Any], *, is_committed: bool) -> Callable[..., Any]:
    """Return the writing of a group, in which the worker dies if the group has several jobs."""

    def write_or_die(groups: AcceptGroups, members: Any) -> Any:
        answers = write(groups, members) if is_committed or len(members) == 1 else []
        if len(members) > 1:
            die()
        return answers

    return write_or_die


def dying_after_ack(flush: Callable[..., Any]) -> Callable[..., Any]:
    """Return the acknowledging, after which the worker dies if there were several messages."""

    def flush_and_die(ack: GroupAck) -> None:
        count = len(ack._served)
        flush(ack)
        if count > 1:
            die()

    return flush_and_die


if __name__ == "__main__":
    step = sys.argv.pop(1)
    if step == "end":
        type.__setattr__(GroupAck, "flush", dying_after_ack(GroupAck.flush))
    else:
        dying = dying_in_write(AcceptGroups.write, is_committed=step == "ack")
        type.__setattr__(AcceptGroups, "write", dying)
    gather(int(sys.argv.pop(1)))
    main()

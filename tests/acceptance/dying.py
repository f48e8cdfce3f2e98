"""`darkroom worker` that is killed while it accepts a group of messages: `kill -9` by itself.

Run as a module, by a test. The first argument is the step before which it dies: `commit`, `ack`
(the rows are committed) or `end` (the messages are acknowledged).

A group is written only after all messages have been gathered. Kombu can lose a message on Redis
that it has taken off its list and not noted yet (kombu#305), and this test is not about that.
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

GATHER_S = 2.0


def die() -> None:
    """End as the kernel or an operator ends it."""
    os.kill(os.getpid(), signal.SIGKILL)


def slow(write: Callable[..., Any]) -> Callable[..., Any]:
    """Return the writing of a group, which begins when all messages have been gathered."""

    def write_later(groups: AcceptGroups, members: Any) -> Any:
        time.sleep(GATHER_S)
        return write(groups, members)

    return write_later


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
    type.__setattr__(AcceptGroups, "write", slow(AcceptGroups.write))
    main()

"""How much of an owner's free queue a process uses without counting it again."""

import pytest

from storage.db.json_text import json_text
from storage.intake.group_members import Member
from tasks.submission.queue_allowances import FULL_S, QueueAllowances
from tests.storage.table import new_job


def test_an_owner_without_a_free_place_is_full_for_half_a_second() -> None:
    """For that long no group counts the owner's jobs again; one free place is not full."""
    now_s = 0.0
    allowances = QueueAllowances(clock=lambda: now_s)
    allowances.note({"shop": 0, "other": 1})
    assert allowances.is_full("shop")
    assert not allowances.is_full("other")
    now_s = FULL_S
    assert not allowances.is_full("shop")


@pytest.mark.parametrize(("processes", "share"), [(1, 20), (4, 5), (8, 2)])
def test_processes_of_a_gateway_divide_what_is_free(processes: int, share: int) -> None:
    """All of them together use a quarter of it at most before one counts again."""
    allowances = QueueAllowances(processes=processes, clock=lambda: 0.0)
    allowances.note({"shop": 80})
    member = Member(new_job(owner="shop"), json_text({}), has_new_id=True, max_queued=100)
    used = 0
    while not allowances.limits_for([member]).recount:
        used += 1
    assert used == share

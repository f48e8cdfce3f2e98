"""Conditions: JSON's own idea of equal, and all of them must hold."""

from typing import Any

import pytest

from gateway.hooks.filter import all_hold
from gateway.hooks.schemes import WrittenCondition

PAYLOAD = {"type": "created", "n": 1, "on": True, "none": None, "list": [{"a": "x"}]}


def holds(**condition: Any) -> bool:
    """Whether a condition as the file writes it holds for the payload here."""
    return WrittenCondition.model_validate(condition).condition().holds(PAYLOAD)


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ({"path": "type", "equals": "created"}, True),
        ({"path": "type", "equals": "updated"}, False),
        ({"path": "type", "in": ["updated", "created"]}, True),
        ({"path": "type", "in": ["updated"]}, False),
        ({"path": "list.0.a", "equals": "x"}, True),
        ({"path": "n", "equals": 1}, True),
        ({"path": "n", "equals": 1.0}, True),
        ({"path": "n", "equals": True}, False),
        ({"path": "n", "equals": "1"}, False),
        ({"path": "on", "equals": True}, True),
        ({"path": "on", "equals": 1}, False),
        ({"path": "on", "equals": False}, False),
        ({"path": "gone", "equals": "x"}, False),
        ({"path": "list", "equals": "x"}, False),
        ({"path": "type", "exists": True}, True),
        ({"path": "type", "exists": False}, False),
        ({"path": "none", "exists": True}, False),
        ({"path": "none", "exists": False}, True),
        ({"path": "gone.deeper", "exists": False}, True),
    ],
)
def test_a_condition_holds_or_not(condition: dict[str, Any], *, wanted: bool) -> None:
    """True is not 1, a text is no number, and null is as good as nothing."""
    assert holds(**condition) is wanted


def test_all_conditions_must_hold() -> None:
    """And without any, everything is let through."""
    yes, no = (
        WrittenCondition.model_validate({"path": "type", "exists": wanted}).condition()
        for wanted in (True, False)
    )
    assert all_hold([], PAYLOAD)
    assert all_hold([yes, yes], PAYLOAD)
    assert not all_hold([yes, no], PAYLOAD)

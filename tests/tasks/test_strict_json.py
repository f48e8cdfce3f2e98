"""Rules for JSON from outside."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import BodyUnreadable
from gateway.http import body
from tasks.batches import reader as lines
from tasks.strict_json import repeated_key


class Key(str):
    """A key that counts how often keys are compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Key.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_the_first_key_that_comes_twice_is_found() -> None:
    """It is the one whose second place is first."""
    pairs = [("a", 1), ("b", 1), ("c", 1), ("b", 1), ("a", 1)]
    assert repeated_key(pairs) == "b"
    assert repeated_key(pairs[:3]) is None


@pytest.mark.parametrize("read", [body._once_each, lines._no_repeats])
def test_a_repeated_key_among_thousands_is_found_in_one_pass(
    read: Callable[[list[tuple[str, Any]]], object],
) -> None:
    """An object of 9,900 keys, the last of them the first again, took seconds of CPU."""
    many = 9_900
    pairs = [(Key(f"key{number}"), 0) for number in range(many)]
    Key.compared = 0
    with pytest.raises((ValueError, BodyUnreadable), match="key0"):
        read([*pairs, (Key("key0"), 0)])
    assert Key.compared < 4 * many

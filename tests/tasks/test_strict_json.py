"""Rules for JSON from outside."""

import json

import pytest

from tasks.strict_json import KeyRepeated, NotStrict, no_constant, once_each


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
    with pytest.raises(KeyRepeated) as caught:
        once_each(pairs)
    assert caught.value.key == "b"
    assert once_each(pairs[:3]) == {"a": 1, "b": 1, "c": 1}


def test_a_repeated_key_is_found_in_every_object_of_a_text() -> None:
    """Parsers differ in which of the two values they keep."""
    with pytest.raises(KeyRepeated, match="'a' is there twice"):
        json.loads('{"x": [{"a": 1, "b": 2, "a": 1}]}', object_pairs_hook=once_each)


def test_an_endless_key_is_quoted_in_part() -> None:
    """The message goes into answers and reports."""
    with pytest.raises(KeyRepeated) as caught:
        once_each([("k" * 10_000, 1), ("k" * 10_000, 2)])
    assert caught.value.key == "k" * 80
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_word_for_is_refused(word: str) -> None:
    """Python's parser accepts it, others do not."""
    with pytest.raises(NotStrict, match=f"{word} is no JSON number"):
        json.loads(f'{{"seed": {word}}}', parse_constant=no_constant)


def test_a_repeated_key_among_thousands_is_found_in_one_pass() -> None:
    """An object of 9,900 keys, the last of them the first again, took seconds of CPU."""
    many = 9_900
    pairs = [(Key(f"key{number}"), 0) for number in range(many)]
    Key.compared = 0
    with pytest.raises(KeyRepeated, match="key0"):
        once_each([*pairs, (Key("key0"), 0)])
    assert Key.compared < 4 * many

"""What a producer may say beside the request."""

import pytest

from tasks.submission.options import MAX_METADATA_BYTES, parse_options


def test_no_options_are_the_default_owner_and_priority() -> None:
    """A producer may say nothing at all."""
    options, faults = parse_options({})
    assert faults == []
    assert options is not None
    assert (options.owner, options.priority, options.idempotency_key) == ("default", 0, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("owner", ""),
        ("owner", "a/b"),
        ("owner", "x" * 65),
        ("owner", 7),
        ("priority", 101),
        ("priority", "1"),
        ("priority", True),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("idempotency_key", "a\0b"),
        ("metadata", [1]),
        ("metadata", {"a": "x" * MAX_METADATA_BYTES}),
        ("metadata", {"a": float("nan")}),
        ("metadata", {"a": "\0"}),
        ("callback_url", "ftp://example.com"),
        ("callback_url", "not an address"),
        ("expires_in_s", 0),
        ("expires_in_s", "soon"),
        ("colour", "red"),
    ],
)
def test_a_faulty_option_is_named(name: str, value: object) -> None:
    """The fault carries the option's name and its rule."""
    options, faults = parse_options({name: value})
    assert options is None
    assert [fault.field for fault in faults] == [name]
    assert faults[0].rule


def test_all_faulty_options_are_named_at_once() -> None:
    """The caller need not repair one fault only to learn of the next."""
    _, faults = parse_options({"owner": "", "priority": 1000, "metadata": 3})
    assert {fault.field for fault in faults} == {"owner", "priority", "metadata"}

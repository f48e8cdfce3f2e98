"""The errors of the paid API are one tree."""

from playground import errors


def test_every_error_has_one_root() -> None:
    """Code that catches the root catches all."""
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(found) == 7
    assert all(issubclass(error, errors.PlaygroundError) for error in found)

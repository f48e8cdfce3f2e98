"""What this room shows to others."""

import playground


def test_every_public_name_exists_and_is_listed_once() -> None:
    """`__all__` names what is there, without doubles."""
    assert len(set(playground.__all__)) == len(playground.__all__)
    for name in playground.__all__:
        assert getattr(playground, name) is not None


def test_every_error_has_one_root() -> None:
    """Whoever catches the root catches all."""
    errors = [
        value
        for value in vars(playground).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(errors) == 7
    assert all(issubclass(error, playground.PlaygroundError) for error in errors)

"""Steps that are repeated a few times."""

import pytest

from tasks.retries import retry


class Away(LookupError):
    """An error that may pass."""


def failing(times: int, error: Exception, calls: list[tuple[str, int]]) -> object:
    """Return a step that fails so many times, with its calls noted."""

    @retry(Away, attempts=3, base_s=0.001, cap_s=0.001)
    def step(prompt: str, *, seed: int) -> str:
        calls.append((prompt, seed))
        if len(calls) <= times:
            raise error
        return f"made of {prompt}"

    return step("a secret fox", seed=7)


def test_a_step_is_repeated_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each retry, which has the error and no argument."""
    calls: list[tuple[str, int]] = []
    assert failing(2, Away("not there"), calls) == "made of a secret fox"
    assert calls == [("a secret fox", 7)] * 3
    assert caplog.messages == ["a step failed; it is retried"] * 2
    assert [vars(each)["error"] for each in caplog.records] == ["not there"] * 2
    assert "secret" not in str([vars(each) for each in caplog.records])


def test_the_error_of_the_last_attempt_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    """It is not logged here: the caller has it."""
    calls: list[tuple[str, int]] = []
    with pytest.raises(Away):
        failing(3, Away("not there"), calls)
    assert len(calls) == 3
    assert len(caplog.records) == 2


def test_any_other_error_is_raised_at_once() -> None:
    """To repeat the step would not help."""
    calls: list[tuple[str, int]] = []
    with pytest.raises(ZeroDivisionError):
        failing(3, ZeroDivisionError(), calls)
    assert len(calls) == 1

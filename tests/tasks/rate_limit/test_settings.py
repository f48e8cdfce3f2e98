"""The call budget as the settings describe it."""

import threading

import pytest

from darkroom.errors import UserError
from darkroom.settings import load_settings
from darkroom.wiring.worker import WorkerWiring


@pytest.mark.parametrize(
    ("broker", "redis_url", "expected"),
    [
        ("redis://broker/0", None, "redis://broker:6379/0"),
        ("redis://broker/0", "rediss://other/1", "rediss://other:6379/1"),
        ("amqp://broker", "redis://other/1", "redis://other:6379/1"),
        ("amqp://broker", None, None),
    ],
)
def test_the_brokers_redis_is_used_unless_another_is_named(
    broker: str, redis_url: str | None, expected: str | None
) -> None:
    """And none where the broker is RabbitMQ and nothing else is said."""
    settings = load_settings(broker_url=broker, redis_url=redis_url)
    address = settings.limits_redis
    assert (address and address.url) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"redis_url": "http://:secret@host"},
        {"max_calls_per_second": 0},
        {"max_calls_in_flight": 0},
    ],
)
def test_nonsense_is_refused_by_name(wrong: dict[str, object]) -> None:
    """The line names the variable and no secret."""
    with pytest.raises(UserError) as refused:
        load_settings(**wrong)
    assert f"DARKROOM_{next(iter(wrong)).upper()}" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_redis_address_that_cannot_be_read_is_told_at_the_start() -> None:
    """It has the right beginning, and a port that is none."""
    with pytest.raises(UserError, match="DARKROOM_REDIS_URL") as refused:
        load_settings(redis_url="redis://:secret@host:port/0", max_calls_in_flight=4)
    assert "secret" not in str(refused.value)


def test_without_limits_the_wiring_builds_nothing_that_runs() -> None:
    """No database is set, no Redis is there, and leave to call is given."""
    before = threading.active_count()
    budget = WorkerWiring(load_settings()).budget
    budget.start()
    assert budget.admit() is not None
    budget.close()
    assert threading.active_count() == before

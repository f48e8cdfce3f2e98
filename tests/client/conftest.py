"""The fake as users get it, and a client of each kind of gateway."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from darkroom_client import Client, Retries
from darkroom_client.testing import FakeDarkroom
from darkroom_client.testing.plugin import darkroom
from tests.client.environments import python, python_with_pytest, wheel
from tests.gateway.conftest import (
    authenticate,
    one_gateway,
    overrides,
    routers,
    running,
    shared,
    start,
)
from tests.gateway.running import Gateway

__all__ = [
    "authenticate",
    "darkroom",
    "one_gateway",
    "overrides",
    "python",
    "python_with_pytest",
    "routers",
    "running",
    "shared",
    "start",
    "wheel",
]

#: Sends again at once, so that no test waits.
AT_ONCE = Retries(attempts=3, first_wait_s=0.0, most_wait_s=60.0)


@dataclass(frozen=True)
class Side:
    """One of the two gateways that are held to the same claims.

    Attributes:
        client: asks it.
        hold: from now on, jobs wait.
        succeed: end a job that waits, with a picture.
        fail: end a job that waits, without one.
    """

    client: Client
    hold: Callable[[], None]
    succeed: Callable[[str], None]
    fail: Callable[[str], None]


@pytest.fixture
def of_a_fake() -> Iterator[Side]:
    """The gateway in memory."""
    with FakeDarkroom() as fake:

        def fail(_job_id: str) -> None:
            fake.fail_next("PROMPT_UNSAFE", message="this topic is not drawn", whose="request")
            fake.release()

        yield Side(fake, fake.hold, lambda _job_id: fake.release(), fail)


@pytest.fixture
def of_a_gateway(one_gateway: Gateway) -> Iterator[Side]:
    """The real one, over a real table and bucket; the test is its fleet."""
    with Client(one_gateway.url, retries=AT_ONCE) as client:
        yield Side(
            client,
            lambda: None,
            lambda job_id: void(one_gateway.succeed(UUID(job_id))),
            lambda job_id: void(one_gateway.fail(UUID(job_id))),
        )


@pytest.fixture(params=["fake", pytest.param("gateway", marks=pytest.mark.enable_socket)])
def side(request: pytest.FixtureRequest) -> Side:
    """Each of the two."""
    found: Side = request.getfixturevalue(f"of_a_{request.param}")
    return found


def void(_value: object) -> None:
    """Forget what a step gave."""

"""What is sent again, how often, under which key; and what is not."""

import uuid
from collections.abc import Iterator
from itertools import pairwise

import pytest
import requests

from darkroom_client import (
    Client,
    GatewayFault,
    NoAnswer,
    NotTheGateway,
    Retries,
    TooManyRequests,
    Unavailable,
)
from tests.cases.backoff import BACKOFF_CASES
from tests.client.scripted import Line, scripted

pytestmark = pytest.mark.enable_socket

JOB = Line(202, b'{"id": "1f0c2d4e-0000-4000-8000-000000000001", "status": "queued"}')
BATCH = b'{"id": "1f0c2d4e-0000-4000-8000-000000000002", "status": "running"}'
GONE = Line(0)
BUSY = Line(503, headers={"Retry-After": "0"})
AT_ONCE = Retries(attempts=3, first_wait_s=0.0)


@pytest.mark.parametrize("trouble", [GONE, BUSY, Line(429), Line(502), Line(504), Line(408)])
def test_a_job_is_sent_again_under_the_key_it_was_sent_under(trouble: Line) -> None:
    """The gateway can recognise the same job, although the caller gave no key."""
    with scripted(trouble, trouble, JOB) as script, Client(script.url, retries=AT_ONCE) as client:
        assert client.submit("a fox").status == "queued"
        keys = {heard.headers["idempotency-key"] for heard in script.heard}
        assert len(script.heard) == 3
        assert len(keys) == 1
        assert len({heard.body for heard in script.heard}) == 1


def test_two_jobs_never_share_a_key_that_nobody_gave() -> None:
    """Two equal calls are two pictures."""
    with scripted(JOB) as script, Client(script.url) as client:
        client.submit("a fox")
        client.submit("a fox")
        assert len({heard.headers["idempotency-key"] for heard in script.heard}) == 2


def test_ones_own_key_is_sent_and_told_again_when_nothing_came_of_it() -> None:
    """Code that catches the error knows under which key to try again."""
    with scripted(GONE) as script, Client(script.url, retries=AT_ONCE) as client:
        with pytest.raises(NoAnswer) as caught:
            client.submit("a fox", idempotency_key="order-4711")
        assert caught.value.idempotency_key == "order-4711"
        assert [heard.headers["idempotency-key"] for heard in script.heard] == ["order-4711"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(status: int) -> None:
    """A 500 is not retried either: its meaning is unknown."""
    with scripted(Line(status)) as script, Client(script.url, retries=AT_ONCE) as client:
        with pytest.raises(Exception, match=f"HTTP {status}"):
            client.submit("a fox")
        assert len(script.heard) == 1


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    """The job was taken in, and the client never heard so."""
    broken = Line(202, b'{"id": "1f0c', hang_up=True)
    with scripted(broken, JOB) as script, Client(script.url, retries=AT_ONCE) as client:
        assert client.submit("a fox").status == "queued"
        assert len(script.heard) == 2


def test_a_gateway_that_wants_more_time_than_we_have_is_not_asked_again() -> None:
    """Its wish is on the error instead."""
    busy = Line(429, headers={"Retry-After": "3600"})
    with scripted(busy) as script, Client(script.url, retries=AT_ONCE) as client:
        with pytest.raises(TooManyRequests) as caught:
            client.submit("a fox")
        assert caught.value.retry_after_s == 3600
        assert len(script.heard) == 1


def test_a_gateway_that_stays_away_is_given_up() -> None:
    """After as many attempts as were allowed."""
    with scripted(BUSY) as script, Client(script.url, retries=Retries(5, 0.0)) as client:
        with pytest.raises(Unavailable):
            client.job(uuid.uuid4()).refresh()
        assert len(script.heard) == 5


def test_a_batch_from_a_list_is_sent_again_and_whole() -> None:
    """Going through it a second time gives the same lines."""
    batch = Line(202, BATCH)
    jobs = [{"prompt": f"fox {n}"} for n in range(3)]
    with scripted(BUSY, batch) as script, Client(script.url, retries=AT_ONCE) as client:
        client.submit_many(jobs)
        first, second = script.heard
        assert first.body == second.body
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_a_batch_from_a_generator_is_not_sent_again_and_its_key_is_told() -> None:
    """It is used up: what is left of it would be another batch."""
    with scripted(BUSY) as script, Client(script.url, retries=AT_ONCE) as client:
        with pytest.raises(Unavailable) as caught:
            client.submit_many({"prompt": "a fox"} for _ in range(3))
        assert len(script.heard) == 1
        assert caught.value.idempotency_key == script.heard[0].headers["idempotency-key"]


@pytest.mark.parametrize("fault", [OSError("disk"), ConnectionError("theirs"), KeyError("row")])
def test_what_the_callers_own_lines_raise_comes_back_as_it_was(fault: Exception) -> None:
    """Even where it looks like a fault of the connection."""

    def lines() -> Iterator[dict[str, str]]:
        yield {"prompt": "a fox"}
        raise fault

    with scripted(JOB) as script, Client(script.url, retries=AT_ONCE) as client:
        with pytest.raises(type(fault)) as caught:
            client.submit_many(lines())
        assert caught.value is fault


def test_a_redirection_is_refused_so_that_the_key_goes_nowhere_else() -> None:
    """A server that answers in the gateway's place gets no second request."""
    moved = Line(307, headers={"Location": "http://127.0.0.1:9/v1/jobs"})
    with scripted(moved) as script, Client(script.url, "drk_secret", retries=AT_ONCE) as client:
        with pytest.raises(NotTheGateway):
            client.submit("a fox")
        assert script.heard[0].headers["authorization"] == "Bearer drk_secret"
        assert len(script.heard) == 1


def test_a_netrc_does_not_replace_the_key(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` would send what the file says, whatever header was set."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="ascii") as file:  # noqa: PTH123 - a line is enough
        file.write("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", netrc)
    with scripted(JOB) as script:
        assert requests.utils.get_netrc_auth(script.url) == ("somebody", "else")
        Client(script.url, "drk_secret").submit("a fox")
        Client(script.url).submit("a fox")
        found = [heard.headers.get("authorization") for heard in script.heard]
        assert found == ["Bearer drk_secret", None]


def test_what_is_no_gateway_is_told_as_such() -> None:
    """A web page with status 200 is the sign of a wrong address."""
    page = Line(200, b"<html>Welcome</html>")
    with scripted(page) as script, pytest.raises(NotTheGateway):
        Client(script.url).submit("a fox")


def test_a_fault_without_a_problem_document_has_its_status() -> None:
    """Proxies answer with pages."""
    with scripted(Line(500, b"<html>Oops</html>")) as script, Client(script.url) as client:
        with pytest.raises(GatewayFault) as caught:
            client.submit("a fox")
        assert (caught.value.status, caught.value.faults) == (500, ())


def test_waits_are_drawn_below_a_bound_that_doubles_up_to_a_limit() -> None:
    """Full jitter: from nothing to the bound."""
    retries = Retries(attempts=20, first_wait_s=1.0, most_wait_s=8.0)
    for attempt, bound_s in enumerate([1, 2, 4, 8, 8, 8], start=1):
        drawn = [retries.wait_s(attempt, None) for _ in range(50)]
        assert all(wait_s is not None and 0 <= wait_s <= bound_s for wait_s in drawn)
        assert len(set(drawn)) > 1
    assert retries.wait_s(20, None) is None


@pytest.mark.parametrize(("failures", "base_s", "cap_s", "bound_s"), BACKOFF_CASES)
def test_the_bound_of_a_wait_is_the_fleets_backoff(
    monkeypatch: pytest.MonkeyPatch, failures: int, base_s: float, cap_s: float, bound_s: float
) -> None:
    """The client has its own function, as it imports nothing of the fleet."""
    waits = Retries(attempts=10_000, first_wait_s=base_s, most_wait_s=cap_s)
    for draw, expected_s in ((min, 0.0), (max, bound_s)):
        monkeypatch.setattr("darkroom_client.retries._dice.uniform", draw)
        assert waits.wait_s(failures + 1, None) == expected_s


def test_a_gateways_wish_is_a_lower_bound() -> None:
    """Coming earlier would only be refused again."""
    retries = Retries(attempts=3, first_wait_s=1.0, most_wait_s=8.0)
    waits = [retries.wait_s(1, 5.0) for _ in range(50)]
    assert all(wait_s is not None and 5 <= wait_s <= 6 for wait_s in waits)
    assert any(one != other for one, other in pairwise(waits))
    assert retries.wait_s(1, 9.0) is None

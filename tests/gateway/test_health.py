"""What a load balancer asks."""

from collections.abc import Callable

from darkroom.wiring.gateway import GatewayWiring
from tests.gateway.running import Gateway, serving


def test_a_gateway_over_tables_of_its_release_lives_and_is_ready(gateway: Gateway) -> None:
    """No key is asked for."""
    assert gateway.get("/healthz").json() == {"status": "ok"}
    assert gateway.get("/readyz").json() == {"status": "ready"}


def test_a_gateway_without_its_tables_lives_and_is_not_ready(
    start: Callable[[str], GatewayWiring], sqlite_url: str
) -> None:
    """It says so without a word on where the database is."""
    wiring = start(sqlite_url)
    with serving(wiring.gateway) as url:
        gateway = Gateway(url, wiring.services, {})
        answer = gateway.get("/readyz")
        assert gateway.get("/healthz").status_code == 200
    wiring.database.close()
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:darkroom:problem:storage-unavailable"
    assert "Retry-After" in answer.headers
    assert "darkroom.db" not in answer.text


def test_an_address_that_there_is_not_is_a_problem_document(one_gateway: Gateway) -> None:
    """A client has one form of error to read."""
    answer = one_gateway.get("/v2/nothing")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:darkroom:problem:not-found"

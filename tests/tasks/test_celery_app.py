"""What the fleet's Celery app is told that Celery would do otherwise."""

import kombu.utils.functional
import pytest

from darkroom.stack.ports import free_port
from tasks import Queues, make_app


@pytest.mark.enable_socket
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_comes_back_is_found_within_seconds_however_long_it_was_away(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's own waits grow to half a minute."""
    monkeypatch.setattr(kombu.utils.functional, "sleep", lambda _: None)
    app = make_app(
        broker_url=f"{scheme}://127.0.0.1:{free_port()}//",
        queues=Queues("darkroom"),
        threads=1,
        submit_again_s=60,
        submit=lambda: pytest.fail("nothing was sent"),
        take=lambda _: pytest.fail("nothing was sent"),
    )
    waits_s: list[float] = []
    with app.connection_for_read() as connection, pytest.raises(Exception, match="refused"):
        connection.ensure_connection(
            errback=lambda _error, wait_s: waits_s.append(wait_s), max_retries=30
        )
    assert len(waits_s) == 30
    assert max(waits_s) <= 5

"""Owners are held to their limits, and only they."""

from collections.abc import Callable, Iterator

import pytest

from darkroom.settings.addresses import RedisAddress
from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.intake_limits import REMEMBER_S, OwnerLimits
from gateway.auth.rates import Rates, window_of
from gateway.errors import ParameterInvalid, TooManyRequests
from storage.db.database import Database
from storage.intake.insert import insert_jobs
from storage.owners.api_keys import create_key
from storage.owners.limits import set_owner_limits
from tasks.submission.queue_allowances import COUNT_S, FULL_S
from tests.gateway.running import Gateway, serving
from tests.services.redis import RedisServer
from tests.services.tls import TlsRelay
from tests.storage.table import new_job

NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def table(migrated_url: str) -> Iterator[Database]:
    """A results table, once on each database."""
    database = Database(migrated_url)
    yield database
    database.close()


@pytest.fixture
def alone() -> Iterator[Rates]:
    """Rates counted in this process."""
    yield (rates := Rates(None, namespace="darkroom"))
    rates.close()


@pytest.fixture
def together(redis_url: str) -> Iterator[Callable[[], Rates]]:
    """Makes rates as each gateway of a fleet has them."""
    made: list[Rates] = []

    def make(url: str = redis_url) -> Rates:
        made.append(Rates(RedisAddress.read(url).options, namespace="darkroom"))
        return made[-1]

    yield make
    for rates in made:
        rates.close()


class Clock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves on."""
    return Clock()


def wait(database: Database, owner: str, count: int) -> None:
    """Have so many jobs of an owner wait."""
    insert_jobs(database, [new_job(owner=owner) for _ in range(count)])


def admitted(limits: OwnerLimits, owner: str, times: int) -> int:
    """How many of so many come in."""
    count = 0
    for _ in range(times):
        try:
            limits.admit(owner)
        except TooManyRequests:
            continue
        count += 1
    return count


def test_who_has_no_limit_comes_in_however_often(table: Database, alone: Rates) -> None:
    """Neither without a row, nor with one that sets nothing."""
    set_owner_limits(table, "shop")
    limits = OwnerLimits(table, alone)
    assert (admitted(limits, "shop", 200), admitted(limits, "museum", 200)) == (200, 200)


def test_a_rate_holds_one_owner_and_no_other(table: Database, alone: Rates) -> None:
    """One in a hundred seconds: the second must wait, and the error says about how long."""
    set_owner_limits(table, "shop", max_per_second=0.01)
    limits = OwnerLimits(table, alone)
    limits.admit("shop")
    with pytest.raises(TooManyRequests) as refused:
        limits.admit("shop")
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 100
    limits.admit("museum")


def test_all_gateways_count_together_in_redis(
    table: Database, together: Callable[[], Rates]
) -> None:
    """Two gateways do not let twice as many in."""
    set_owner_limits(table, "shop", max_per_second=0.01)
    gateways = [OwnerLimits(table, together()) for _ in range(3)]
    assert sum(admitted(limits, "shop", 5) for limits in gateways) == 1


def test_while_redis_is_away_each_gateway_counts_by_itself(
    table: Database, together: Callable[[str], Rates], caplog: pytest.LogCaptureFixture
) -> None:
    """No owner is refused for it or exempt from the limit, and the log has one line of it."""
    set_owner_limits(table, "shop", max_per_second=0.01)
    assert admitted(OwnerLimits(table, together(NOBODY)), "shop", 20) == 1
    assert len([record for record in caplog.records if "Redis is away" in record.message]) == 1


def test_a_redis_over_tls_counts_only_where_it_is_trusted(
    table: Database,
    redis_url: str,
    over_tls: Callable[[int], TlsRelay],
    together: Callable[[str], Rates],
) -> None:
    """The same rule as for the broker; one that is not trusted is one that is away."""
    set_owner_limits(table, "shop", max_per_second=0.01)
    relay = over_tls(int(redis_url.rpartition(":")[2].partition("/")[0]))
    url = f"rediss://127.0.0.1:{relay.port}/0"
    assert admitted(OwnerLimits(table, together(url)), "shop", 3) == 1
    assert relay.sessions == 0
    trusting = f"{url}?ssl_ca_certs={relay.certificate}"
    gateways = [OwnerLimits(table, together(trusting)) for _ in range(2)]
    assert sum(admitted(limits, "shop", 3) for limits in gateways) == 1
    assert relay.sessions > 0


def test_a_redis_that_goes_away_in_between_is_no_error(
    table: Database, redis_server: RedisServer, together: Callable[[str], Rates]
) -> None:
    """The connection that was open is the one that breaks."""
    set_owner_limits(table, "shop", max_per_second=0.01)
    limits = OwnerLimits(table, together(redis_server.url))
    assert admitted(limits, "shop", 3) == 1
    redis_server.kill()
    assert admitted(limits, "shop", 3) == 1


@pytest.mark.parametrize(
    ("per_second", "amount", "in_s"),
    [
        (1.0, 1, 1),
        (250.0, 250, 1),
        (2.5, 5, 2),
        (0.5, 1, 2),
        (0.3, 3, 10),
        (1 / 60, 1, 60),
        (33.333, 33, 1),
        (0.001, 1, 1000),
        (0.000001, 1, 1000),
    ],
)
def test_a_rate_is_counted_over_a_short_window_of_whole_seconds(
    per_second: float, amount: int, in_s: int
) -> None:
    """All of a window may come at once, so none is longer than the rate needs."""
    item = window_of(per_second)
    assert (item.amount, item.get_expiry()) == (amount, in_s)


def test_no_more_is_taken_in_while_too_much_waits(table: Database, alone: Rates) -> None:
    """Another owner's backlog is another owner's."""
    set_owner_limits(table, "shop", max_queued=10)
    set_owner_limits(table, "museum", max_queued=10)
    wait(table, "shop", 10)
    limits = OwnerLimits(table, alone)
    with pytest.raises(TooManyRequests, match="10 jobs waiting"):
        limits.admit("shop")
    limits.admit("museum")


def test_jobs_taken_in_fill_the_room_and_no_more(table: Database, alone: Rates) -> None:
    """Each that comes in waits; what one count left room for is not given out again and again."""
    set_owner_limits(table, "shop", max_queued=25)
    limits = OwnerLimits(table, alone)
    taken = 0
    for _ in range(60):
        if admitted(limits, "shop", 1):
            wait(table, "shop", 1)
            taken += 1
    assert taken == 25


def test_there_is_room_again_when_jobs_have_been_called(
    table: Database, alone: Rates, clock: Clock
) -> None:
    """Within a moment: a full house is not counted at each knock."""
    set_owner_limits(table, "shop", max_queued=2)
    wait(table, "shop", 2)
    limits = OwnerLimits(table, alone, clock=clock)
    assert admitted(limits, "shop", 3) == 0
    with table.begin() as connection:
        connection.execute(table.tables.jobs.delete())
    clock.now_s += FULL_S
    assert admitted(limits, "shop", 1) == 1


def test_a_count_is_not_trusted_for_long(table: Database, alone: Rates, clock: Clock) -> None:
    """Other gateways take jobs in, too."""
    set_owner_limits(table, "shop", max_queued=100)
    limits = OwnerLimits(table, alone, clock=clock)
    assert admitted(limits, "shop", 1) == 1
    wait(table, "shop", 100)
    clock.now_s += COUNT_S
    assert admitted(limits, "shop", 1) == 0


def test_a_batch_needs_room_for_all_of_its_jobs(table: Database, alone: Rates) -> None:
    """One that can never fit is a fault of the request, not a matter of waiting."""
    set_owner_limits(table, "shop", max_queued=100)
    wait(table, "shop", 60)
    limits = OwnerLimits(table, alone)
    limits.require_room("shop", 40)
    with pytest.raises(TooManyRequests):
        limits.require_room("shop", 41)
    with pytest.raises(ParameterInvalid, match="at most 100 jobs"):
        limits.require_room("shop", 101)
    limits.require_room("museum", 1_000_000)


def test_a_large_batch_that_has_to_wait_stands_in_no_single_jobs_way(
    table: Database, alone: Rates
) -> None:
    """There is room, only not for all of that."""
    set_owner_limits(table, "shop", max_queued=100)
    wait(table, "shop", 60)
    limits = OwnerLimits(table, alone)
    with pytest.raises(TooManyRequests):
        limits.require_room("shop", 90)
    limits.admit("shop")


def test_an_owner_who_may_have_nothing_waiting_hands_nothing_in(
    table: Database, alone: Rates
) -> None:
    """0 shuts an owner out without touching keys; what was taken in goes on."""
    set_owner_limits(table, "shop", max_queued=0)
    assert admitted(OwnerLimits(table, alone), "shop", 2) == 0


def test_a_changed_limit_is_seen_within_seconds(
    table: Database, alone: Rates, clock: Clock
) -> None:
    """No gateway has to be restarted."""
    limits = OwnerLimits(table, alone, clock=clock)
    assert admitted(limits, "shop", 1) == 1
    set_owner_limits(table, "shop", max_queued=0)
    clock.now_s += REMEMBER_S
    assert admitted(limits, "shop", 1) == 0
    set_owner_limits(table, "shop", max_queued=None)
    clock.now_s += REMEMBER_S
    assert admitted(limits, "shop", 1) == 1


def test_over_http_a_limit_is_429_with_the_time_to_come_again(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str
) -> None:
    """As a problem document, with nothing kept; other owners go on, and reading is not limited."""
    wiring = start(migrated_sqlite_url)
    del wiring.authenticate  # what the conftest put in the place of the real one
    set_owner_limits(wiring.database, "shop", max_per_second=0.01)
    keys = {
        owner: create_key(wiring.database, owner=owner, scopes={"submit", "read"}).secret
        for owner in ("shop", "museum")
    }
    with serving(wiring.gateway) as url:
        shop, museum = (
            Gateway(url, wiring.services, {"Authorization": f"Bearer {secret}"})
            for secret in keys.values()
        )
        job_id = shop.submit()
        refused = shop.post("/v1/jobs", json={"request": {"prompt": "another"}})
        assert shop.get(f"/v1/jobs/{job_id}").status_code == 200
        museum.submit()
        assert shop.count_jobs() == 2
    wiring.database.close()
    wiring.app.close()
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:darkroom:problem:too-many-requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 100

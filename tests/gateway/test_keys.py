"""Who is asking: through the real gateway, by keys in the table."""

from collections.abc import Callable, Iterator
from typing import Annotated

import pytest
import requests
from fastapi import APIRouter, Depends

from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.caller import Caller, Scope, caller_with
from gateway.auth.keys import MOST_WRONG, REMEMBER_S, KeyHolders
from gateway.auth.loopback import is_loopback
from gateway.errors import Unauthenticated
from gateway.services import Services
from storage.db.database import Database
from storage.migrations.migrate import migrate
from storage.owners.api_keys import SECRET_PREFIX, ApiKey, create_key, list_keys, revoke_key
from tests.gateway.running import Gateway, serving
from tests.waiting import wait_until

WRONG = SECRET_PREFIX + "A" * 43


def who(_services: Services) -> APIRouter:
    """A part that tells a caller who they are."""
    routes = APIRouter()

    @routes.get("/who/read")
    def read(caller: Annotated[Caller, Depends(caller_with(Scope.READ))]) -> dict[str, str]:
        return {"owner": caller.owner}

    @routes.get("/who/admin")
    def admin(caller: Annotated[Caller, Depends(caller_with(Scope.ADMIN))]) -> dict[str, str]:
        return {"owner": caller.owner}

    return routes


@pytest.fixture
def keyed(start: Callable[[str], GatewayWiring], migrated_url: str) -> Iterator[Gateway]:
    """A gateway as it is wired, for which no key exists yet."""
    wiring = start(migrated_url)
    wiring.routers = (*wiring.routers, who)
    del wiring.authenticate  # what the conftest put in the place of the real one
    with serving(wiring.gateway) as url:
        yield Gateway(url, wiring.services, {})
    wiring.database.close()
    wiring.app.close()


def bearer(secret: str) -> dict[str, str]:
    """The header that carries a secret."""
    return {"Authorization": f"Bearer {secret}"}


def facts_of(answer: requests.Response) -> tuple[int, str, str | None]:
    """What a stranger may learn from an answer."""
    return answer.status_code, answer.text, answer.headers.get("WWW-Authenticate")


def test_without_any_key_everybody_on_this_machine_is_the_default_owner(keyed: Gateway) -> None:
    """Trying it out takes no key; whatever the header says."""
    assert keyed.get("/who/admin").json() == {"owner": "default"}
    assert keyed.get("/who/read", headers=bearer(WRONG)).json() == {"owner": "default"}


def test_no_web_page_is_let_in_for_want_of_keys(keyed: Gateway) -> None:
    """By a name of its own that points here, or from its own origin; a header opens nothing."""
    pages = (
        {"Host": "evil.example:8080"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "[::ffff:10.0.0.1]"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    )
    keys: tuple[dict[str, str], ...] = ({}, {"Authorization": "x"}, bearer(WRONG))
    for headers in (page | key for page in pages for key in keys):
        refused = keyed.get("/who/read", headers=headers)
        assert refused.status_code == 403, (headers, refused.text)
        assert refused.json()["type"] == "urn:darkroom:problem:forbidden"
    headers = pages[0] | bearer(WRONG)
    sent = keyed.post("/v1/jobs", json={"request": {"prompt": "x"}}, headers=headers)
    assert (sent.status_code, keyed.count_jobs()) == (403, 0)
    for here in ("localhost:8080", "LOCALHOST", "127.8.8.8", "[::1]:8080"):
        assert keyed.get("/who/read", headers={"Host": here}).status_code == 200


def test_a_good_key_is_let_in_by_whatever_name_the_gateway_has(keyed: Gateway) -> None:
    """Programs reach it through names and proxies; the key says who they are."""
    secret = create_key(keyed.database, owner="shop", scopes={"read"}).secret
    elsewhere = bearer(secret) | {"Host": "darkroom.example.com", "Origin": "https://shop.example"}
    wait_until(lambda: keyed.get("/who/read").status_code == 401)
    assert keyed.get("/who/read", headers=elsewhere).json() == {"owner": "shop"}


def test_the_first_key_shuts_the_door_within_seconds_without_a_restart(keyed: Gateway) -> None:
    """An operator who makes a key does not have to think of the processes that run."""
    assert keyed.get("/who/read").status_code == 200
    secret = create_key(keyed.database, owner="shop", scopes={"read"}).secret
    wait_until(lambda: keyed.get("/who/read").status_code == 401)
    assert keyed.get("/who/read", headers=bearer(secret)).json() == {"owner": "shop"}


def test_a_key_says_whose_it_is_and_what_it_may(keyed: Gateway) -> None:
    """The owner follows from the key alone; a scope it lacks is 403, as the key itself is good."""
    secret = create_key(keyed.database, owner="shop", scopes={"submit", "read"}).secret
    assert keyed.get("/who/read", headers=bearer(secret)).json() == {"owner": "shop"}
    refused = keyed.get("/who/admin", headers=bearer(secret))
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:darkroom:problem:forbidden"
    assert "admin" in refused.json()["detail"]


def with_key(gateway: Gateway, owner: str, *scopes: str) -> Gateway:
    """The same gateway, as the holder of a new key sees it."""
    secret = create_key(gateway.database, owner=owner, scopes=scopes).secret
    return Gateway(gateway.url, gateway.services, bearer(secret))


def test_jobs_are_the_owners_whose_key_handed_them_in(keyed: Gateway) -> None:
    """Another owner's job is 404, whatever the key may; without a key nothing is shown at all."""
    shop = with_key(keyed, "shop", "submit", "read")
    museum = with_key(keyed, "museum", "submit", "read", "admin")
    job_id = shop.submit("a paper fox")
    assert shop.get(f"/v1/jobs/{job_id}").json()["owner"] == "shop"
    assert museum.get(f"/v1/jobs/{job_id}").status_code == 404
    assert [job["id"] for job in shop.get("/v1/jobs").json()["jobs"]] == [str(job_id)]
    assert museum.get("/v1/jobs").json()["jobs"] == []
    assert keyed.get(f"/v1/jobs/{job_id}").status_code == 401


def test_reading_and_handing_in_take_their_own_scopes(keyed: Gateway) -> None:
    """A key for a shop window cannot order, one that orders cannot look."""
    reader, submitter = with_key(keyed, "shop", "read"), with_key(keyed, "shop", "submit")
    job_id = submitter.submit()
    assert reader.get(f"/v1/jobs/{job_id}").status_code == 200
    assert submitter.get(f"/v1/jobs/{job_id}").status_code == 403
    assert reader.post("/v1/jobs", json={"request": {"prompt": "x"}}).status_code == 403
    assert keyed.count_jobs() == 1


HEADERS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Basic dXNlcjpwYXNz",
    f"Token {WRONG}",
    WRONG,
    f"Bearer {WRONG}",
    f"Bearer {WRONG} {WRONG}",
    f"Bearer {WRONG},",
    "Bearer drk_short",
    "Bearer " + "x" * 4000,
    "Bearer drk_é" + "a" * 42,
)


def test_every_header_without_a_good_key_is_refused_alike(keyed: Gateway) -> None:
    """Missing, malformed, unknown or revoked: the caller does not learn which."""
    made = create_key(keyed.database, owner="shop", scopes={"read"})
    revoke_key(keyed.database, made.key.id)
    answers = {
        facts_of(keyed.get("/who/read", headers=None if text is None else {"Authorization": text}))
        for text in (*HEADERS, f"Bearer {made.secret}")
    }
    assert len(answers) == 1, answers
    status, body, asks = answers.pop()
    assert (status, asks) == (401, 'Bearer realm="darkroom"')
    assert "unauthenticated" in body


def test_the_words_around_a_key_may_be_written_as_the_standard_allows(keyed: Gateway) -> None:
    """The scheme in any case, several blanks after it."""
    secret = create_key(keyed.database, owner="shop", scopes={"read"}).secret
    for text in (f"bearer {secret}", f"BEARER   {secret}"):
        assert keyed.get("/who/read", headers={"Authorization": text}).status_code == 200


def test_a_revoked_key_is_refused_within_seconds(keyed: Gateway) -> None:
    """By gateways that served it a moment ago, without a restart."""
    made = create_key(keyed.database, owner="shop", scopes={"read"})
    assert keyed.get("/who/read", headers=bearer(made.secret)).status_code == 200
    revoke_key(keyed.database, made.key.id)
    wait_until(lambda: keyed.get("/who/read", headers=bearer(made.secret)).status_code == 401)


def test_the_day_of_a_keys_use_is_noted(keyed: Gateway) -> None:
    """So that `darkroom keys list` shows keys that are not used."""
    used = create_key(keyed.database, owner="shop", scopes={"read"})
    create_key(keyed.database, owner="shop", scopes={"read"})
    keyed.get("/who/read", headers=bearer(used.secret))
    found: dict[bool, ApiKey] = {key.used_today: key for key in list_keys(keyed.database)}
    assert found[True].id == used.key.id
    assert found[False].last_used_day is None


def test_health_asks_for_no_key(keyed: Gateway) -> None:
    """A load balancer has none."""
    create_key(keyed.database, owner="shop", scopes={"read"})
    assert keyed.get("/healthz").status_code == 200
    assert keyed.get("/readyz").status_code == 200


def test_no_secret_is_logged(keyed: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a good one, nor one that was mistyped, at any level."""
    caplog.set_level("DEBUG")
    secret = create_key(keyed.database, owner="shop", scopes={"read"}).secret
    keyed.get("/who/read", headers=bearer(secret))
    keyed.get("/who/read", headers=bearer(secret[:-1]))
    said = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "/who/read" in said
    assert secret[:-1] not in said


@pytest.fixture
def table(migrated_sqlite_url: str) -> Iterator[Database]:
    """A results table."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


def test_a_gateway_that_others_reach_is_shut_while_there_is_no_key(table: Database) -> None:
    """No caller is let in by the lack of keys."""
    with pytest.raises(Unauthenticated):
        KeyHolders(table, open_until_keys=False).authenticate(None)


def test_revoking_the_last_key_opens_nothing(table: Database) -> None:
    """A gateway that started after it is as shut as one before."""
    revoke_key(table, create_key(table, owner="shop", scopes={"read"}).key.id)
    with pytest.raises(Unauthenticated):
        KeyHolders(table, open_until_keys=True).authenticate(None)


def test_guesses_fill_no_memory_and_push_out_no_good_key(table: Database) -> None:
    """However many a stranger sends."""
    now_s = [0.0]
    keys = KeyHolders(table, open_until_keys=False, clock=lambda: now_s[0])
    door = keys.authenticate
    made = create_key(table, owner="shop", scopes={"read"})
    good = f"Bearer {made.secret}"
    assert door(good).owner == "shop"
    for number in range(MOST_WRONG + 10):
        with pytest.raises(Unauthenticated):
            door(f"Bearer {SECRET_PREFIX}{number:043}")
    assert len(keys._wrong) == MOST_WRONG
    revoke_key(table, made.key.id)
    assert door(good).owner == "shop"  # remembered, as it would not be if it had been pushed out
    now_s[0] += REMEMBER_S
    with pytest.raises(Unauthenticated):
        door(good)


def test_a_key_is_recalled_without_the_table_only_while_it_is_fresh(table: Database) -> None:
    """Good or wrong, it is looked up again after that; until there is a key, so is that."""
    now_s = [0.0]
    keys = KeyHolders(table, open_until_keys=True, clock=lambda: now_s[0])
    first = keys.recall(None)
    assert not isinstance(first, Caller)
    assert first() == keys.recall(None)
    secret = create_key(table, owner="shop", scopes={"read"}).secret
    now_s[0] += REMEMBER_S
    look_up = keys.recall(f"Bearer {secret}")
    assert not isinstance(look_up, Caller)
    assert look_up() == keys.recall(f"Bearer {secret}")
    wrong = keys.recall(f"Bearer {SECRET_PREFIX}{0:043}")
    assert not isinstance(wrong, Caller)
    with pytest.raises(Unauthenticated):
        wrong()
    with pytest.raises(Unauthenticated):
        keys.recall(f"Bearer {SECRET_PREFIX}{0:043}")
    now_s[0] += REMEMBER_S
    assert not isinstance(keys.recall(f"Bearer {secret}"), Caller)


def test_a_scope_of_a_newer_release_allows_nothing(table: Database) -> None:
    """And takes nothing from those that are known."""
    secret = create_key(table, owner="shop", scopes={"read", "repaint"}).secret
    caller = KeyHolders(table, open_until_keys=False).authenticate(f"Bearer {secret}")
    assert caller.scopes == {Scope.READ}


def test_while_the_table_is_away_nobody_is_let_in_and_nobody_refused(
    start: Callable[[str], GatewayWiring], sqlite_url: str
) -> None:
    """A client that gets a 401 throws its key away; 503 makes it come again."""
    wiring = start(sqlite_url)
    wiring.routers = (who,)
    wiring.authenticate = KeyHolders(wiring.database, open_until_keys=False).recall
    with serving(wiring.gateway) as url:
        gateway = Gateway(url, wiring.services, {})
        secret = SECRET_PREFIX + "a" * 43
        assert gateway.get("/who/read", headers=bearer(secret)).status_code == 503
        migrate(wiring.database)
        assert gateway.get("/who/read", headers=bearer(secret)).status_code == 401
    wiring.database.close()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - it is the question
        ("::", False),
        ("192.168.1.5", False),
        ("gateway.internal", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_only_this_machines_own_addresses_are_open_without_keys(host: str, *, local: bool) -> None:
    """A name might mean anything, but for the one that means this machine."""
    assert is_loopback(host) is local


def submitter(authorization: str | None) -> Caller:
    """Everybody is the owner `shop`, with a key that only submits."""
    del authorization
    return Caller(owner="shop", scopes=frozenset({Scope.SUBMIT}))


@pytest.mark.parametrize("how", ["submit", "again", "wait", "cancel", "retry"])
def test_a_key_that_only_submits_sees_neither_prompt_nor_picture(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str, how: str
) -> None:
    """Whatever it may do to a job answers with id, status and outcome alone."""
    wiring = start(migrated_sqlite_url)
    wiring.authenticate = submitter
    with serving(wiring.gateway) as url:
        gateway = Gateway(url, wiring.services, {"Idempotency-Key": "k"})
        job_id = gateway.submit("a secret prompt")
        gateway.succeed(job_id)
        body = {"request": {"prompt": "a secret prompt"}}
        answer = {
            "submit": lambda: gateway.post("/v1/jobs", json=body, headers={"Idempotency-Key": "m"}),
            "again": lambda: gateway.post("/v1/jobs", json=body),
            "wait": lambda: gateway.post("/v1/jobs", json=body, headers={"Prefer": "wait=1"}),
            "cancel": lambda: gateway.post(f"/v1/jobs/{job_id}/cancel"),
            "retry": lambda: gateway.post(f"/v1/jobs/{job_id}/retry"),
        }[how]()
        assert answer.ok, answer.text
        said = answer.json()
        seen = said.get("job", said)
        assert set(seen) <= {"id", "status", "created"}
        assert {"id", "status"} <= set(seen)
        assert "secret" not in answer.text
        assert gateway.get(f"/v1/jobs/{job_id}").status_code == 403
    wiring.database.close()
    wiring.objects.close()
    wiring.app.close()

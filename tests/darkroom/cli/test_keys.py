"""`darkroom keys`: a secret is shown once, and nothing else ever shows one."""

import re
from uuid import UUID, uuid4

import pytest
from typer.main import get_command

from darkroom.cli import app, run
from darkroom.cli.admin.keys import Scope
from gateway.auth.caller import Scope as GatewayScope
from storage.db.database import Database
from storage.owners.api_keys import find_key, list_keys
from tests.darkroom.cli.conftest import CommandLine

VERBS = [("keys", "create"), ("keys", "list"), ("keys", "revoke"), ("owners", "set")]
VERBS += [("owners", "list"), ("owners", "secret")]
VERBS += [("webhooks", "list"), ("webhooks", "show"), ("webhooks", "replay")]


def test_create_prints_the_secret_alone_and_talks_about_it_beside(
    at_table: CommandLine, tables: Database
) -> None:
    """So `> shop.key` is the whole of keeping it; what is said does not repeat it."""
    made = at_table("keys", "create", "--owner", "shop", "--name", "till 3")
    assert made.status == 0
    secret = made.out.rstrip("\n")
    assert re.fullmatch(r"drk_[A-Za-z0-9_-]{43}", secret)
    assert secret not in made.err
    found = find_key(tables, secret)
    assert found is not None
    assert (found.owner, found.name, found.scopes) == (
        "shop",
        "till 3",
        frozenset({"submit", "read"}),
    )
    assert made.lines[0].startswith(f"key {found.id} of shop may read, submit")


def test_the_first_key_is_remarked_on(at_table: CommandLine) -> None:
    """It shuts a gateway that was open."""
    first, second = (at_table("keys", "create", "--owner", "shop") for _ in range(2))
    assert first.lines[-1].startswith("the first key: from now on")
    assert len(second.lines) == 1


def test_scopes_are_exactly_those_that_were_named(at_table: CommandLine, tables: Database) -> None:
    """One option each."""
    made = at_table("keys", "create", "--owner", "a", "--scope", "read", "--scope", "admin")
    found = find_key(tables, made.out.strip())
    assert found is not None
    assert found.scopes == {"read", "admin"}


def test_scopes_are_those_of_the_gateway() -> None:
    """Named twice, so that help need not load the gateway."""
    assert [str(scope) for scope in Scope] == [str(scope) for scope in GatewayScope]


def test_json_has_the_secret_once_and_the_list_never(at_table: CommandLine) -> None:
    """A program gets id and secret together, and later everything but the secret."""
    made = at_table("keys", "create", "--owner", "shop", "--json").json
    listed = at_table("keys", "list", "--json")
    assert made.pop("secret").startswith("drk_")
    assert listed.json_lines == [made]
    assert set(made) == {
        *("id", "owner", "name", "scopes", "created_at", "last_used_day", "revoked_at")
    }


def test_list_shows_keys_newest_first_and_by_owner(at_table: CommandLine) -> None:
    """Id, owner, scopes and last use: enough to find the one to revoke."""
    for owner in ("shop", "museum"):
        at_table("keys", "create", "--owner", owner, "--name", f"of {owner}\x1b[31m")
    heading, *lines = at_table("keys", "list").out.splitlines()
    assert heading.split() == ["id", "owner", "may", "last", "used", "about"]
    assert [line.split()[1] for line in lines] == ["museum", "shop"]
    assert "never" in lines[0]
    assert len(at_table("keys", "list", "--owner", "shop").out.splitlines()) == 2


def test_no_keys_is_no_error(at_table: CommandLine) -> None:
    """No data, and a word on stderr."""
    ran = at_table("keys", "list")
    assert (ran.status, ran.out, ran.lines) == (0, "", ["no keys"])


def test_revoke_is_for_ever_and_twice_is_no_error(at_table: CommandLine, tables: Database) -> None:
    """The secret opens nothing, and the list says so."""
    made = at_table("keys", "create", "--owner", "shop", "--json").json
    first, again = (at_table("keys", "revoke", made["id"]) for _ in range(2))
    assert (first.status, again.status) == (0, 0)
    assert first.out == again.out
    assert first.out.startswith(f"{made['id']} of shop: revoked since ")
    assert find_key(tables, made["secret"]) is None
    assert " revoked " in at_table("keys", "list").out.splitlines()[1]


def test_a_key_that_there_is_not_is_one_line(at_table: CommandLine) -> None:
    """With status 1, and where to look."""
    wanted = uuid4()
    ran = at_table("keys", "revoke", str(wanted))
    assert ran.status == 1
    assert ran.lines == [f"there is no key {wanted}: `darkroom keys list` shows them"]


def test_a_secret_given_in_place_of_the_id_is_not_repeated(at_table: CommandLine) -> None:
    """What people paste by mistake does not end up in their logs."""
    secret = at_table("keys", "create", "--owner", "shop").out.strip()
    ran = at_table("keys", "revoke", secret)
    assert ran.status == 2
    assert len(ran.lines) == 1
    assert secret not in ran.out + ran.err


@pytest.mark.parametrize("owner", ["", "two words", "x" * 65, "shop/1"])
def test_an_owner_no_job_could_have_gets_no_key(
    at_table: CommandLine, tables: Database, owner: str
) -> None:
    """The rule is that of jobs."""
    ran = at_table("keys", "create", "--owner", owner)
    assert (ran.status, ran.out) == (2, "")
    assert "letters, digits" in ran.err
    assert list_keys(tables) == []


def test_limits_are_set_one_by_one_and_lifted(at_table: CommandLine) -> None:
    """What is not named stays."""
    assert at_table("owners", "set", "shop", "--max-per-second", "0.5").out == (
        "shop: submits 0.5 times a second; any number waiting;"
        " calls: any number in flight, any number a day\n"
    )
    at_table("owners", "set", "shop", "--max-queued", "10000", "--max-in-flight", "4")
    at_table("owners", "set", "shop", "--max-calls-per-day", "500")
    ran = at_table("owners", "set", "shop", "--max-per-second", "none", "--json")
    assert (ran.json["max_per_second"], ran.json["max_queued"]) == (None, 10_000)
    assert at_table("owners", "list").out == (
        "shop: submits any number of times a second; 10,000 waiting;"
        " calls: 4 in flight, 500 a day\n"
    )
    assert at_table("owners", "list", "--json").json == ran.json


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "set what?"),
        (("--max-per-second", "0"), "--max-per-second: a number from 0.001"),
        (("--max-per-second", "nan"), "--max-per-second: a number from 0.001"),
        (("--max-per-second", "fast"), "--max-per-second: a number from 0.001"),
        (("--max-queued", "-1"), "--max-queued: a whole number"),
        (("--max-queued", "1.5"), "--max-queued: a whole number"),
        (("--max-queued", "9" * 12), "--max-queued: a whole number"),
        (("--max-in-flight", "some"), "--max-in-flight: a whole number"),
        (("--max-calls-per-day", ""), "--max-calls-per-day: a whole number"),
        (("--max-queued", "²"), "--max-queued: a whole number"),
    ],
)
def test_a_limit_that_is_none_is_a_wrong_call(
    bare: CommandLine, arguments: tuple[str, ...], says: str
) -> None:
    """One line and status 2, before anything is connected."""
    ran = bare("owners", "set", "shop", *arguments)
    assert ran.status == 2
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith(says)


def test_no_limits_is_no_error(at_table: CommandLine) -> None:
    """No data, and a word on stderr."""
    ran = at_table("owners", "list")
    assert (ran.status, ran.out, ran.lines) == (0, "", ["no owner has a limit"])


@pytest.mark.parametrize(("noun", "verb"), VERBS)
def test_every_verb_shows_an_example_and_its_options_whole(
    noun: str, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every command does, on 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        run([noun, verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"Example: darkroom {noun} {verb}" in text
    command = get_command(app).commands[noun].commands[verb]  # type: ignore[attr-defined]  # groups
    options = {name for parameter in command.params for name in parameter.opts}
    assert [name for name in options if name.startswith("--") and name not in text] == []


def test_ids_are_uuids(at_table: CommandLine) -> None:
    """They sort by when the key was made, and say nothing else."""
    made = at_table("keys", "create", "--owner", "shop", "--json").json
    assert UUID(made["id"]).version == 7

"""`darkroom hooks`: all faults of a file are reported, and what a payload becomes is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from darkroom.cli import app, run
from tests.darkroom.cli.conftest import CommandLine

FILE = """
[hooks.shop]
scheme = "standard"
secrets = ["env:SHOP_SECRET"]
owner = "shop"
when = { path = "type", equals = "created" }
request = { prompt = "a photo of {title}", width = "{width|768}", height = 768 }
job = { priority = 5 }

[hooks.code]
scheme = "github"
secrets = ["file:github-secret"]
request = { prompt = "a medal for {who}" }
"""


@pytest.fixture
def at_hooks(bare: CommandLine) -> CommandLine:
    """The command line beside a good file of hooks, and nothing else set."""
    (bare.folder / "hooks.toml").write_text(FILE)
    (bare.folder / "github-secret").write_text("It's a Secret to Everybody\n")
    bare.env["DARKROOM_HOOKS_FILE"] = "hooks.toml"
    bare.env["SHOP_SECRET"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    return bare


def payload(folder: Path, value: Any) -> str:
    """A file with a body."""
    file = folder / "payload.json"
    file.write_text(json.dumps(value))
    return str(file)


def test_check_lists_the_hooks_of_a_good_file(at_hooks: CommandLine) -> None:
    """With the address that goes into the sender's form."""
    ran = at_hooks("hooks", "check")
    assert ran.status == 0, ran.err
    assert [line.split() for line in ran.out.splitlines()] == [
        ["/v1/hooks/shop", "standard", "owner", "shop"],
        ["/v1/hooks/code", "github", "owner", "default"],
    ]
    assert [line["path"] for line in at_hooks("hooks", "check", "--json").json_lines] == [
        "/v1/hooks/shop",
        "/v1/hooks/code",
    ]


def test_check_tells_every_fault_with_its_hook_and_field(at_hooks: CommandLine) -> None:
    """All at once, and no secret among them."""
    at_hooks.env["SHOP_SECRET"] = "whsec_dG9vLXNob3J0"
    (at_hooks.folder / "github-secret").unlink()
    faulty = FILE.replace("height = 768", "height = 769").replace("a medal", "a {medal")
    (at_hooks.folder / "hooks.toml").write_text(FILE.replace("height = 768", "height = 769"))
    ran = at_hooks("hooks", "check")
    assert ran.status == 1
    assert ran.lines == [
        "hook shop: secrets[0]: must be at least 16 bytes long",
        "hook shop: request.height: must be a multiple of 32 with Playground_v3",
        (
            "hook code: secrets[0]: must be in a file that can be read "
            "(github-secret: No such file or directory)"
        ),
    ]
    (at_hooks.folder / "hooks.toml").write_text(faulty)
    ran = at_hooks("hooks", "check")
    assert ran.lines == [
        (
            "hook code: request.prompt: must be a text in which a brace that is no placeholder is "
            "doubled"
        )
    ]


def test_check_may_leave_the_secrets_out(at_hooks: CommandLine) -> None:
    """So that a file can be checked where its secrets have no business to be."""
    del at_hooks.env["SHOP_SECRET"]
    assert at_hooks("hooks", "check").status == 1
    assert at_hooks("hooks", "check", "--without-secrets").status == 0


def test_test_shows_the_request_that_would_be_made(at_hooks: CommandLine) -> None:
    """Without the secret, the database or any service."""
    del at_hooks.env["SHOP_SECRET"]
    file = payload(at_hooks.folder, {"type": "created", "title": "a teapot"})
    ran = at_hooks("hooks", "test", "shop", "--payload", file)
    assert ran.status == 0, ran.err
    assert dict(line.split(maxsplit=1) for line in ran.out.splitlines()) == {
        "prompt": "a photo of a teapot",
        "width": "768",
        "height": "768",
        "priority": "5",
        "owner": "shop",
        "idempotency_key": "hook:shop:WEBHOOK-ID",
    }
    told = at_hooks("hooks", "test", "shop", "--payload", file, "--json").json
    assert told["request"] == {"prompt": "a photo of a teapot", "width": 768, "height": 768}
    assert (told["accepted"], told["faults"]) == (True, [])


def test_test_tells_what_the_payload_lacks(at_hooks: CommandLine) -> None:
    """Exit status 2, as of every request with faults."""
    file = payload(at_hooks.folder, {"type": "created"})
    ran = at_hooks("hooks", "test", "shop", "--payload", file)
    assert (ran.status, ran.out) == (2, "")
    assert ran.lines == ["request.prompt = {title}: must be in the payload, which has no title"]


def test_test_tells_what_is_wrong_with_the_request(at_hooks: CommandLine) -> None:
    """And shows it all the same."""
    file = payload(at_hooks.folder, {"type": "created", "title": "a teapot", "width": "wide"})
    ran = at_hooks("hooks", "test", "shop", "--payload", file)
    assert ran.status == 2
    assert "wide" in ran.out
    assert ran.lines[0].startswith("width = 'wide': must be a whole number")
    told = at_hooks("hooks", "test", "shop", "--payload", file, "--json")
    assert told.status == 2
    assert [fault["field"] for fault in told.json["faults"]] == ["width"]


def test_test_says_when_the_filter_leaves_a_payload_out(at_hooks: CommandLine) -> None:
    """Which is no fault."""
    file = payload(at_hooks.folder, {"type": "deleted"})
    ran = at_hooks("hooks", "test", "shop", "--payload", file)
    assert (ran.status, ran.out.split(":")[0]) == (0, "filtered")
    told = at_hooks("hooks", "test", "shop", "--payload", file, "--json")
    assert told.json == {"accepted": False, "reason": "filtered", "faults": []}


def test_what_is_not_there_is_a_line(at_hooks: CommandLine) -> None:
    """No file, no hook, no payload, no JSON."""
    file = payload(at_hooks.folder, {})
    ran = at_hooks("hooks", "test", "shap", "--payload", file)
    assert ran.lines == ["there is no hook 'shap': the file has shop, code"]
    ran = at_hooks("hooks", "test", "shop", "--payload", "none.json")
    assert ran.lines == ["cannot read none.json: No such file or directory"]
    Path(file).write_text('{"a": 1, "a": 2}')
    ran = at_hooks("hooks", "test", "shop", "--payload", file)
    assert ran.lines == ["the key 'a' comes twice in one object"]
    ran = at_hooks("hooks", "check", "--file", "none.toml")
    assert ran.lines == ["none.toml: cannot be read: No such file or directory"]
    del at_hooks.env["DARKROOM_HOOKS_FILE"]
    assert at_hooks("hooks", "check").lines == [
        "DARKROOM_HOOKS_FILE is not set, and no --file given"
    ]


def test_a_gateway_does_not_start_with_a_faulty_file(at_table: CommandLine) -> None:
    """Better than to refuse deliveries one by one; one line tells all."""
    (at_table.folder / "hooks.toml").write_text(FILE)
    ran = at_table("gateway", "--port", "0", hooks_file="hooks.toml")
    assert ran.status == 1
    assert ran.lines[-1] == (
        "DARKROOM_HOOKS_FILE=hooks.toml: "
        "hook shop: secrets[0]: must be in the environment, which has no SHOP_SECRET; "
        "hook code: secrets[0]: must be in a file that can be read "
        "(github-secret: No such file or directory)"
    )


@pytest.mark.parametrize("verb", ["check", "test"])
def test_each_verb_shows_an_example_and_all_its_options(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 80 columns, letter for letter."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        run(["hooks", verb, "--help"])
    text = capsys.readouterr().out
    assert "Example: darkroom hooks" in text
    command = get_command(app).commands["hooks"].commands[verb]  # type: ignore[attr-defined]  # groups have them
    options = [name for parameter in command.params for name in parameter.opts]
    assert all(name in text for name in options if name.startswith("--"))

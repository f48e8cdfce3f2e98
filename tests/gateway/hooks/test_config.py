"""The file of hooks: its faults are reported before a delivery comes, and no secret is shown."""

from pathlib import Path

import pytest

from gateway.hooks.config import Hooks, load_hooks
from gateway.hooks.errors import HooksFileFaulty
from gateway.hooks.signatures import BearerToken, BodyHmac, StandardWebhooks, TimestampedHmac
from playground.request.request import RequestLimits

SECRET = "a secret that is long enough"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

GOOD = f"""
[hooks.shop]
scheme = "bearer"
secrets = ["{SECRET}"]
"""


def load(
    folder: Path,
    text: str,
    environment: dict[str, str] | None = None,
    limits: RequestLimits | None = None,
) -> Hooks:
    """The hooks of a text."""
    file = folder / "hooks.toml"
    file.write_text(text, encoding="utf-8")
    return load_hooks(file, environment=environment or {}, limits=limits)


def faults_of(
    folder: Path,
    text: str,
    environment: dict[str, str] | None = None,
    limits: RequestLimits | None = None,
) -> list[str]:
    """What is wrong with a text, a line each."""
    with pytest.raises(HooksFileFaulty) as caught:
        load(folder, text, environment, limits)
    lines = str(caught.value).splitlines()
    assert lines == [str(fault) for fault in caught.value.faults]
    return lines


@pytest.mark.parametrize(
    ("said", "signature"),
    [
        ('scheme = "stripe"', TimestampedHmac((SECRET.encode(),), "stripe-signature")),
        (
            'scheme = "stripe"\nheader = "Calendly-Webhook-Signature"',
            TimestampedHmac((SECRET.encode(),), "calendly-webhook-signature"),
        ),
        (
            'scheme = "github"',
            BodyHmac((SECRET.encode(),), "x-hub-signature-256", prefix="sha256="),
        ),
        ('scheme = "hmac"\nheader = "X-Sig"', BodyHmac((SECRET.encode(),), "x-sig")),
        (
            (
                'scheme = "hmac"\nheader = "X-S"\nencoding = "base64"\nprefix = "v0="\n'
                'digest = "sha512"'
            ),
            BodyHmac((SECRET.encode(),), "x-s", "base64", "v0=", "sha512"),
        ),
        ('scheme = "bearer"', BearerToken((SECRET.encode(),))),
        (
            'scheme = "bearer"\nheader = "X-Gitlab-Token"',
            BearerToken((SECRET.encode(),), "x-gitlab-token"),
        ),
    ],
)
def test_each_scheme_has_its_own_words(tmp_path: Path, said: str, signature: object) -> None:
    """And nothing is taken for granted but what its sender always does."""
    text = f'[hooks.a]\nsecrets = ["{SECRET}"]\nrequest = {{ prompt = "x" }}\n{said}'
    assert load(tmp_path, text)["a"].signature == signature


def test_secrets_come_from_the_environment_from_files_or_as_they_are(tmp_path: Path) -> None:
    """A file's path may begin where the file of hooks is; a line's end is no part of a secret."""
    (tmp_path / "new").write_text(f"{SECRET}\n")
    text = '[hooks.a]\nscheme = "github"\nsecrets = ["file:new", "env:OLD"]\nrequest.prompt = "x"'
    signature = load(tmp_path, text, {"OLD": "the one before this one"})["a"].signature
    assert isinstance(signature, BodyHmac)
    assert signature.keys == (SECRET.encode(), b"the one before this one")


def test_a_standard_secret_is_decoded(tmp_path: Path) -> None:
    """With its prefix or without."""
    text = f'[hooks.a]\nscheme = "standard"\nsecrets = ["{WHSEC}", "env:BARE"]\nrequest.prompt="x"'
    signature = load(tmp_path, text, {"BARE": WHSEC.removeprefix("whsec_")})["a"].signature
    assert isinstance(signature, StandardWebhooks)
    assert len(set(signature.keys)) == 1
    assert len(signature.keys[0]) == 24


def test_without_secrets_no_delivery_is_genuine(tmp_path: Path) -> None:
    """Hooks that were only looked over take nothing in."""
    file = tmp_path / "hooks.toml"
    file.write_text(GOOD + 'request = { prompt = "x" }')
    hook = load_hooks(file, environment=None)["shop"]
    headers = {"authorization": f"Bearer {SECRET}"}
    assert hook.signature.check(headers, b"{}", now_s=0) is None
    headers = {"authorization": "Bearer "}
    assert hook.signature.check(headers, b"{}", now_s=0) is None


@pytest.mark.parametrize(
    ("secret", "fault"),
    [
        ("env:NONE", "must be in the environment, which has no NONE"),
        ("env:EMPTY", "must be in the environment, which has no EMPTY"),
        ("env:SHORT", "must be at least 16 bytes long"),
        ("file:none", "must be in a file that can be read (none: No such file or directory)"),
        ("file:binary", "must be in a file that can be read (binary: not text)"),
    ],
)
def test_a_secret_that_cannot_be_used_is_a_fault(tmp_path: Path, secret: str, fault: str) -> None:
    """Told with its place, never with itself."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    text = GOOD.replace(SECRET, secret) + 'request = { prompt = "x" }'
    environment = {"EMPTY": "", "SHORT": "pssst"}
    assert faults_of(tmp_path, text, environment) == [f"hook shop: secrets[0]: {fault}"]


def test_what_is_no_base64_is_no_standard_secret(tmp_path: Path) -> None:
    """A secret of another scheme in the wrong place is found out at once."""
    text = '[hooks.a]\nscheme="standard"\nsecrets=["not base64 at all!"]\nrequest.prompt="x"'
    assert faults_of(tmp_path, text) == ["hook a: secrets[0]: must be base64, behind `whsec_`"]


@pytest.mark.parametrize(
    ("more", "faults"),
    [
        ("", ["request: must be given"]),
        ("request = 3", ["request: must be a table"]),
        ('request.prompt = "x"\ncolour = "red"', ["colour: is not known here"]),
        ('request.prompt = "x"\nowner = "a b"', ["owner: must be 1 to 64 of letters, digits,"]),
        ('request.prompt = "x"\nheader = "a b"', ["header: must be the name of a header"]),
        ('request.prompt = "x {y"', ["request.prompt: must be a text in which a brace"]),
        ('request.prompt = "x"\nkey = "{}"', ["key: must be a dotted path such as"]),
        ('request.promt = "{x}"', ["request.prompt: must be given", "request.promt: must be left"]),
        ('request.prompt = "x"\nrequest.width = 500', ["request.width: must be a multiple of 32"]),
        ('request.prompt = "{x}"\nrequest.seed = 0', ["request.seed: must be a whole number"]),
        (
            'request.prompt = "x"\njob = { owner = "{x}", idempotency_key = "y" }',
            ["job.idempotency_key: is not known here", "job.owner: is not known here"],
        ),
        ('request.prompt = "x"\njob.colour = "{x}"', ["job.colour: must be left out"]),
        ('request.prompt = "x"\njob.priority = 101', ["job.priority: must be a whole number"]),
        (
            'request.prompt = "x"\nwhen = { path = "a" }',
            ["when[0]: must have exactly one of equals, in, exists"],
        ),
        (
            'request.prompt = "x"\nwhen = { path = "a", equals = 1, exists = true }',
            ["when[0]: must have exactly one of equals, in, exists"],
        ),
        (
            'request.prompt = "x"\nwhen = [{ path = "a", exists = true }, { path = "", in = [] }]',
            ["when[1].path: must be a dotted path", "when[1].in: must be a list of texts"],
        ),
        (
            'request.prompt = "x"\nwhen = { path = "a", equals = 1979-05-27 }',
            ["when[0].equals: must be a text, a number, true or false"],
        ),
    ],
)
def test_each_fault_is_told_with_its_field(tmp_path: Path, more: str, faults: list[str]) -> None:
    """In the words of the file, not of the library that found it."""
    found = faults_of(tmp_path, GOOD + more)
    assert len(found) == len(faults)
    for line, fault in zip(found, faults, strict=True):
        assert line.startswith(f"hook shop: {fault}")
        assert SECRET not in line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "hooks: must be given"),
        ("[hooks]", "hooks: must hold at least one hook, as a table [hooks.NAME]"),
        ("hooks = 3", "hooks: must hold at least one hook, as a table [hooks.NAME]"),
        (
            (
                '[hooks."A B"]\nscheme = "bearer"\nsecrets = ["a secret long enough"]\n'
                'request.prompt = "x"'
            ),
            "hook A B: must have a name of at most 63 of a-z, 0-9, dash, underscore",
        ),
        ("[hooks.a]", "hook a: must say its scheme"),
        (
            '[hooks.a]\nscheme = "md5"',
            "hook a: must have the scheme standard, stripe, github, hmac or bearer",
        ),
    ],
)
def test_a_file_that_holds_no_hooks_is_told_why(tmp_path: Path, text: str, fault: str) -> None:
    """An empty one is more likely the wrong one than meant."""
    assert faults_of(tmp_path, text) == [fault]


@pytest.mark.parametrize("data", [b"x =", b"\xff", b"[a" * 9])
def test_a_file_that_is_no_toml_is_told_so(tmp_path: Path, data: bytes) -> None:
    """Whatever it is instead."""
    file = tmp_path / "hooks.toml"
    file.write_bytes(data)
    with pytest.raises(HooksFileFaulty, match=r"is not (TOML|UTF-8)"):
        load_hooks(file, environment={})


def test_the_faults_of_all_hooks_are_told_at_once(tmp_path: Path) -> None:
    """One look is enough to put a file right."""
    one = '[hooks.{}]\nscheme="github"\nsecrets=["env:X"]\nrequest = {{ prompt="x", seed=0 }}\n'
    found = faults_of(tmp_path, one.format("a") + one.format("b"))
    assert [line.split(": ")[:2] for line in found] == [
        ["hook a", "secrets[0]"],
        ["hook a", "request.seed"],
        ["hook b", "secrets[0]"],
        ["hook b", "request.seed"],
    ]


def test_this_installations_own_limits_hold_for_hooks(tmp_path: Path) -> None:
    """A side that no job may have is found out when the file is read."""
    text = GOOD + "request = { prompt = 'x', width = 1024 }"
    assert load(tmp_path, text)["shop"].owner == "default"
    assert faults_of(tmp_path, text, limits=RequestLimits(max_side_px=512)) == [
        "hook shop: request.width: must be at most 512 pixels"
    ]


def test_a_side_is_not_judged_while_the_model_is_open(tmp_path: Path) -> None:
    """Its rule depends on the model, which the payload will name."""
    text = GOOD + "request = { prompt = 'x', width = 500, filter_model = '{model}' }"
    assert load(tmp_path, text)["shop"].request["width"] == 500


def test_a_hook_shows_no_secret(tmp_path: Path) -> None:
    """Wherever one is printed."""
    hook = load(tmp_path, GOOD + "request = { prompt = 'x' }")["shop"]
    assert SECRET not in repr(hook)

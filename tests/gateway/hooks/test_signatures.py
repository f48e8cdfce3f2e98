"""Signatures: those that others make and document are taken, and nothing near them is."""

import base64
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from gateway.hooks.secrets import decoded
from gateway.hooks.signatures import (
    TOLERANCE_S,
    BearerToken,
    BodyHmac,
    Signature,
    StandardWebhooks,
    TimestampedHmac,
    VerifiedSignature,
)

NOW_S = 1_790_000_000
BODY = b'{"type":"product.created","data":{"title":"Gr\xc3\xbcner Tee"}}'
OLD, NEW = b"the old secret of this hook", b"the new secret of this hook"
WHSEC = "whsec_" + base64.b64encode(NEW).decode()

GITHUB = "x-hub-signature-256"
SHOPIFY = "x-shopify-hmac-sha256"


def hex_of(key: bytes, signed: bytes, digest: str = "sha256") -> str:
    """An HMAC as plain Python has it."""
    return hmac.new(key, signed, digest).hexdigest()


def base64_of(key: bytes, signed: bytes) -> str:
    """The same in base64."""
    return base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()


def standard(key: bytes = NEW, at_s: int = NOW_S) -> dict[str, str]:
    """A Standard Webhooks delivery, signed by their own library."""
    when = datetime.fromtimestamp(at_s, UTC)
    signature = Webhook(key).sign("msg_1", when, BODY.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": signature,
    }


def stripe(key: bytes = NEW, body: bytes = BODY, at_s: int = NOW_S) -> dict[str, str]:
    """A delivery in Stripe's form; its test mode adds a `v0`."""
    signature = hex_of(key, f"{at_s}.".encode() + body)
    return {"stripe-signature": f"t={at_s},v1={signature},v0={'0' * 64}"}


def github(key: bytes = NEW, body: bytes = BODY, at_s: int = NOW_S) -> dict[str, str]:
    """A delivery in GitHub's form."""
    del at_s
    return {GITHUB: f"sha256={hex_of(key, body)}"}


def shopify(key: bytes = NEW, body: bytes = BODY, at_s: int = NOW_S) -> dict[str, str]:
    """A delivery in Shopify's form."""
    del at_s
    return {SHOPIFY: base64_of(key, body)}


def bearer(key: bytes = NEW, body: bytes = BODY, at_s: int = NOW_S) -> dict[str, str]:
    """A delivery with a token."""
    del body, at_s
    return {"authorization": f"Bearer {key.decode()}"}


SCHEMES: dict[str, tuple[Any, Any]] = {
    "standard": (StandardWebhooks, standard),
    "stripe": (TimestampedHmac, stripe),
    "github": (lambda keys: BodyHmac(keys, GITHUB, prefix="sha256="), github),
    "shopify": (lambda keys: BodyHmac(keys, SHOPIFY, "base64"), shopify),
    "bearer": (BearerToken, bearer),
}
SIGNED = [name for name in SCHEMES if name != "bearer"]
TIMED = ["standard", "stripe"]
EVERY = pytest.mark.parametrize("scheme", SCHEMES)


def check(
    signature: Signature, headers: dict[str, str], body: bytes = BODY
) -> VerifiedSignature | None:
    """Ask at the time that the deliveries here are signed for."""
    return signature.check(headers, body, now_s=NOW_S)


@EVERY
def test_what_the_sender_signed_is_genuine(scheme: str) -> None:
    """Each scheme takes a delivery of its own."""
    make, sign = SCHEMES[scheme]
    assert check(make((NEW,)), sign()) is not None


@EVERY
@pytest.mark.parametrize("key", [OLD, NEW])
def test_while_a_secret_is_changed_both_are_good(scheme: str, key: bytes) -> None:
    """The hook has the new one first; the sender may still use the old."""
    make, sign = SCHEMES[scheme]
    assert check(make((NEW, OLD)), sign(key)) is not None


@EVERY
def test_another_secret_is_refused(scheme: str) -> None:
    """Once the old one is withdrawn it is good for nothing."""
    make, sign = SCHEMES[scheme]
    assert check(make((NEW,)), sign(OLD)) is None


@EVERY
def test_no_signature_is_refused(scheme: str) -> None:
    """Neither an absent header nor an empty one is a signature."""
    make, sign = SCHEMES[scheme]
    assert check(make((NEW,)), {}) is None
    for name in sign():
        assert check(make((NEW,)), sign() | {name: ""}) is None


@pytest.mark.parametrize("scheme", SIGNED)
def test_another_body_is_refused(scheme: str) -> None:
    """Be it by one byte, or by space that means nothing in JSON."""
    make, sign = SCHEMES[scheme]
    for body in (BODY + b" ", BODY.replace(b"Tee", b"Tea"), b""):
        assert check(make((NEW,)), sign(), body) is None


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize("off_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1, -NOW_S, 10**9])
def test_a_signed_time_too_far_from_ours_is_refused(scheme: str, off_s: int) -> None:
    """A recorded delivery is good for five minutes, and one of the future for as long."""
    make, sign = SCHEMES[scheme]
    assert check(make((NEW,)), sign(at_s=NOW_S + off_s)) is None


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize("off_s", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_five_minutes_either_way_are_let_pass(scheme: str, off_s: int) -> None:
    """Clocks differ."""
    make, sign = SCHEMES[scheme]
    assert check(make((NEW,)), sign(at_s=NOW_S + off_s)) is not None


@pytest.mark.parametrize(
    "time", ["", "now", "1e9", "-1", "1790000000.5", " 1790000000", "٤٢", "9" * 13]
)
def test_a_time_that_is_no_whole_number_of_seconds_is_refused(time: str) -> None:
    """Even where the secret has signed it."""
    signed = hex_of(NEW, f"{time}.".encode("latin-1", "replace") + BODY)
    headers = {"stripe-signature": f"t={time},v1={signed}"}
    assert check(TimestampedHmac((NEW,)), headers) is None


def test_two_times_in_one_header_are_refused() -> None:
    """It is unknown which of them is valid."""
    headers = stripe()
    again = {"stripe-signature": headers["stripe-signature"] + f",t={NOW_S}"}
    assert check(TimestampedHmac((NEW,)), again) is None


def test_a_time_that_was_not_signed_cannot_be_put_in() -> None:
    """Neither can an id: both are within the signature."""
    old = standard(at_s=NOW_S - 4000)
    assert check(StandardWebhooks((NEW,)), old | {"webhook-timestamp": str(NOW_S)}) is None
    assert check(StandardWebhooks((NEW,)), standard() | {"webhook-id": "msg_2"}) is None


def test_standard_webhooks_vouches_for_its_id() -> None:
    """The others sign no id."""
    assert check(StandardWebhooks((NEW,)), standard()) == VerifiedSignature("msg_1")
    assert check(TimestampedHmac((NEW,)), stripe()) == VerifiedSignature()


def test_one_of_several_signatures_is_enough() -> None:
    """A sender with two secrets signs with both; versions unknown to Darkroom are skipped."""
    ours, theirs = standard()["webhook-signature"], standard(OLD)["webhook-signature"]
    headers = standard() | {"webhook-signature": f"v1a,c29tZQ== {theirs} v2,x v1 {ours}"}
    assert check(StandardWebhooks((NEW,)), headers) is not None
    two = stripe()["stripe-signature"].replace("v1=", f"v1={'0' * 64}, v1=")
    assert check(TimestampedHmac((NEW,)), {"stripe-signature": two}) is not None


def test_the_older_names_of_the_same_headers_are_known() -> None:
    """Senders on Svix say `svix-id` and mean `webhook-id`."""
    older = {name.replace("webhook", "svix"): value for name, value in standard().items()}
    assert check(StandardWebhooks((NEW,)), older) == VerifiedSignature("msg_1")


def test_the_vector_of_the_standard_webhooks_libraries() -> None:
    """The one that all their test suites have."""
    key = decoded("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", as_base64=True)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    genuine = StandardWebhooks((key,)).check(headers, body, now_s=1614265330)
    assert genuine == VerifiedSignature("msg_p5jXN8AQM9LWM0D4loKWxJek")


def test_the_vector_of_githubs_documentation() -> None:
    """Under "Testing the webhook payload validation"."""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    signature = BodyHmac((b"It's a Secret to Everybody",), GITHUB, prefix="sha256=")
    assert check(signature, {GITHUB: f"sha256={digest}"}, b"Hello, World!") is not None
    assert check(signature, {GITHUB: digest}, b"Hello, World!") is None
    assert check(signature, {GITHUB: f"sha1={digest}"}, b"Hello, World!") is None


def test_what_we_take_the_standard_webhooks_library_takes_and_the_other_way_round() -> None:
    """Signed by plain HMAC: both say yes; with a letter changed: both say no."""
    now_s = int(datetime.now(UTC).timestamp())
    signed = base64_of(NEW, f"msg_7.{now_s}.".encode() + BODY)
    headers = {
        "webhook-id": "msg_7",
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{signed}",
    }
    theirs, ours = Webhook(WHSEC), StandardWebhooks((decoded(WHSEC, as_base64=True),))
    assert theirs.verify(BODY, headers)["type"] == "product.created"
    assert ours.check(headers, BODY, now_s=now_s) == VerifiedSignature("msg_7")
    assert ours.check(headers, BODY.replace(b"T", b"t"), now_s=now_s) is None
    with pytest.raises(Exception, match="No matching signature"):
        theirs.verify(BODY.replace(b"T", b"t"), headers)


@EVERY
def test_what_fills_up_the_time_is_no_secret(scheme: str) -> None:
    """Neither one secret nor none makes the empty one good."""
    make, sign = SCHEMES[scheme]
    empty = sign(b"\0") if scheme == "standard" else sign(b"")  # their library takes no empty one
    assert check(make((NEW,)), empty) is None
    assert check(make(()), empty) is None


def test_sha512_and_a_prefix_of_ones_own() -> None:
    """What the general scheme is for."""
    signature = BodyHmac((NEW,), "x-signature", prefix="v0=", digest="sha512")
    headers = {"x-signature": f"v0={hex_of(NEW, BODY, 'sha512')}"}
    assert check(signature, headers) is not None
    assert check(signature, {"x-signature": f"v0={hex_of(NEW, BODY)}"}) is None


def test_a_token_may_have_a_header_of_its_own() -> None:
    """As GitLab's has; `Bearer` is then no part of it."""
    signature = BearerToken((NEW,), "x-gitlab-token")
    assert check(signature, {"x-gitlab-token": NEW.decode()}) is not None
    assert check(signature, {"x-gitlab-token": f"Bearer {NEW.decode()}"}) is None
    assert check(BearerToken((NEW,)), {"authorization": NEW.decode()}) is None
    assert check(BearerToken((NEW,)), {"authorization": f"bearer  {NEW.decode()}"}) is not None


def test_only_a_bearer_token_is_one_in_the_usual_header() -> None:
    """Another scheme's credentials are no token, though they be the same characters."""
    for scheme in ("Basic", "Token", "Digest"):
        headers = {"authorization": f"{scheme} {NEW.decode()}"}
        assert check(BearerToken((NEW,)), headers) is None


def test_a_signature_of_another_version_is_none() -> None:
    """What it covers is that version's business; a good digest under its name says nothing."""
    given = standard()
    for version in ("v1a", "v2", "V1"):
        other = given["webhook-signature"].replace("v1,", f"{version},")
        assert check(StandardWebhooks((NEW,)), given | {"webhook-signature": other}) is None
    header = stripe()["stripe-signature"].partition(",v0=")[0]
    for name in ("v0", "v2", "V1"):
        headers = {"stripe-signature": header.replace(",v1=", f",{name}=")}
        assert check(TimestampedHmac((NEW,)), headers) is None


def test_a_signed_delivery_without_an_id_is_refused() -> None:
    """Two of them would have one idempotency key between them."""
    signed = f".{NOW_S}.".encode() + BODY
    headers = {
        "webhook-timestamp": str(NOW_S),
        "webhook-signature": f"v1,{base64_of(NEW, signed)}",
    }
    assert check(StandardWebhooks((NEW,)), headers) is None
    assert check(StandardWebhooks((NEW,)), headers | {"webhook-id": ""}) is None


@EVERY
@given(junk=st.text(max_size=200), body=st.binary(max_size=50))
def test_no_header_whatever_does_more_than_be_refused(scheme: str, junk: str, body: bytes) -> None:
    """Halves of base64, letters beyond ASCII, commas: nothing raises, and nothing is genuine."""
    make, sign = SCHEMES[scheme]
    for name in sign():
        altered = sign() | {name: junk}
        assert check(make((NEW,)), altered, body) is None or altered == sign()

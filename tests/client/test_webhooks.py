"""What is taken for a webhook of the gateway's, held against the specification's own library."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from darkroom_client import WebhookInvalid, WebhookStale, webhooks
from darkroom_client.testing import sign

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = json.dumps({"type": "job.succeeded", "data": {"id": "a fox ü"}}, ensure_ascii=False).encode()
NOW = 1_750_000_000


def signed(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> dict[str, str]:
    """Headers as the specification's library makes them."""
    moment = datetime.fromtimestamp(at, UTC)
    signature = Webhook(secret).sign("msg_1", moment, body.decode())
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }


def test_what_the_specifications_library_signs_is_accepted() -> None:
    """Id, time and content come out."""
    found = webhooks.verify(signed(), BODY, SECRET, now=NOW)
    assert found.id == "msg_1"
    assert found.sent_at == datetime.fromtimestamp(NOW, UTC)
    assert found.payload["data"]["id"] == "a fox ü"


def test_what_our_own_test_helper_signs_the_specifications_library_accepts() -> None:
    """Both directions."""
    assert Webhook(SECRET).verify(BODY, sign(BODY, SECRET)) == json.loads(BODY)
    assert webhooks.verify(sign(BODY, SECRET), BODY, SECRET).payload == json.loads(BODY)


def test_names_of_headers_may_have_any_case_and_the_body_may_be_text() -> None:
    """Frameworks differ."""
    headers = {name.title(): value for name, value in signed().items()}
    assert webhooks.verify(headers, BODY.decode(), SECRET, now=NOW).id == "msg_1"


def test_either_secret_fits_while_one_replaces_the_other() -> None:
    """And a delivery signed with both is valid for a receiver that knows only one."""
    both = signed()
    both["webhook-signature"] += " " + signed(secret=OTHER)["webhook-signature"]
    assert webhooks.verify(signed(), BODY, [OTHER, SECRET], now=NOW).id == "msg_1"
    assert webhooks.verify(both, BODY, OTHER, now=NOW).id == "msg_1"


@pytest.mark.parametrize("off_s", [-301, 301, 86_400])
def test_a_signed_time_outside_the_tolerance_is_stale(off_s: int) -> None:
    """Too old, or from the future."""
    with pytest.raises(WebhookStale):
        webhooks.verify(signed(at=NOW + off_s), BODY, SECRET, now=NOW)
    assert webhooks.verify(signed(at=NOW + off_s), BODY, SECRET, now=NOW, tolerance_s=86_400).id


@pytest.mark.parametrize("off_s", [-300, 0, 300])
def test_a_signed_time_within_the_tolerance_is_fresh(off_s: int) -> None:
    """Up to its last second."""
    assert webhooks.verify(signed(at=NOW + off_s), BODY, SECRET, now=NOW).id


def test_an_old_time_with_a_wrong_signature_is_not_told_as_merely_stale() -> None:
    """Nothing is known about it."""
    with pytest.raises(WebhookInvalid) as caught:
        webhooks.verify(signed(secret=OTHER, at=1), BODY, SECRET, now=NOW)
    assert not isinstance(caught.value, WebhookStale)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": f"{NOW}.0"},
        {"webhook-timestamp": f" {NOW}"},
        {"webhook-timestamp": "\N{ARABIC-INDIC DIGIT ONE}"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "nan"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,not base64!"},
        {"webhook-signature": "v1,\N{LATIN SMALL LETTER U WITH DIAERESIS}"},
        {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v1a,")},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "")},
    ],
)
def test_a_header_that_was_changed_is_refused(change: dict[str, str]) -> None:
    """With our error, and never another."""
    with pytest.raises(WebhookInvalid):
        webhooks.verify({**signed(), **change}, BODY, SECRET, now=NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_refused(missing: str) -> None:
    """Each of the three is needed."""
    headers = signed()
    del headers[missing]
    with pytest.raises(WebhookInvalid):
        webhooks.verify(headers, BODY, SECRET, now=NOW)


def test_a_body_that_was_changed_by_a_byte_is_refused() -> None:
    """Parsed and written again is changed, too."""
    for body in (BODY + b" ", BODY[:-1], json.dumps(json.loads(BODY)).encode(), b""):
        with pytest.raises(WebhookInvalid):
            webhooks.verify(signed(), body, SECRET, now=NOW)


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b"[" * 100_000])
def test_a_signed_body_that_is_no_object_is_refused(body: bytes) -> None:
    """Users index the payload without looking."""
    with pytest.raises(WebhookInvalid):
        webhooks.verify(sign(body, SECRET, now=NOW), body, SECRET, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", []])
def test_a_secret_that_is_none_is_the_users_mistake(secret: str | list[str]) -> None:
    """An empty one would accept what anybody signs."""
    with pytest.raises(ValueError, match="secret"):
        webhooks.verify(signed(), BODY, secret, now=NOW)


def test_a_header_of_a_thousand_signatures_is_not_read_to_its_end() -> None:
    """Each costs a comparison."""
    headers = signed()
    headers["webhook-signature"] = "v1,eA== " * 1000 + headers["webhook-signature"]
    with pytest.raises(WebhookInvalid):
        webhooks.verify(headers, BODY, SECRET, now=NOW)

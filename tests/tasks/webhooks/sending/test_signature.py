"""Our signatures against the Standard Webhooks project's own library."""

import base64
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tasks.errors import SecretUnusable, TaskError
from tasks.webhooks.sending.signature import new_secret, signed_headers

BODY = '{"type":"job.ended","data":{"prompt":"köttbullar"}}'.encode()


def now_s() -> int:
    """The library takes nothing older than five minutes."""
    return int(time.time())


def test_the_specifications_library_accepts_what_we_sign() -> None:
    """A receiver needs nothing of Darkroom."""
    secret = new_secret()
    headers = signed_headers([secret], message_id="msg_1", timestamp_s=now_s(), body=BODY)
    assert Webhook(secret).verify(BODY, headers)["type"] == "job.ended"


def test_a_changed_body_id_or_time_is_noticed() -> None:
    """All three are signed."""
    secret = new_secret()
    headers = signed_headers([secret], message_id="msg_1", timestamp_s=now_s(), body=BODY)
    earlier = str(int(headers["webhook-timestamp"]) - 1)
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": earlier}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, {**headers, **changed})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_receiver_that_knows_any_one_of_the_secrets_is_content(known: int) -> None:
    """Secrets change without a moment at which both sides must change."""
    secrets = [new_secret() for _ in range(3)]
    headers = signed_headers(secrets, message_id="msg_1", timestamp_s=now_s(), body=BODY)
    assert len(headers["webhook-signature"].split(" ")) == 3
    Webhook(secrets[known]).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@given(
    key=st.binary(min_size=24, max_size=64),
    message_id=st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True),
    timestamp_s=st.integers(0, 4_000_000_000),
    text=st.text(),
    padded=st.booleans(),
)
def test_we_sign_exactly_as_the_specifications_library_does(
    key: bytes, message_id: str, timestamp_s: int, text: str, *, padded: bool
) -> None:
    """Byte for byte, whatever the secret, id, time and body."""
    encoded = base64.b64encode(key).decode()
    secret = "whsec_" + (encoded if padded else encoded.rstrip("="))
    body = text.encode(errors="ignore")
    ours = signed_headers([secret], message_id=message_id, timestamp_s=timestamp_s, body=body)
    moment = datetime.fromtimestamp(timestamp_s, tz=UTC)
    assert ours["webhook-signature"] == Webhook(secret).sign(message_id, moment, body.decode())
    assert (ours["webhook-id"], ours["webhook-timestamp"]) == (message_id, str(timestamp_s))


def test_the_librarys_own_example_comes_out_as_published() -> None:
    """A fixed vector, so that both can't drift together."""
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_new_secrets_are_strong_and_never_the_same() -> None:
    """The specification asks for 24 to 64 random bytes."""
    secrets = {new_secret() for _ in range(20)}
    assert len(secrets) == 20
    for secret in secrets:
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La aSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La-_Sw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaäw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_what_is_no_secret_is_refused_and_not_quoted(secret: str) -> None:
    """A weak or misread secret must not sign; a nearly right one must not get into a log."""
    with pytest.raises(SecretUnusable) as caught:
        signed_headers([secret], message_id="msg_1", timestamp_s=1, body=b"")
    assert isinstance(caught.value, TaskError)
    assert "MfKQ9r8" not in str(caught.value)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nX: y", "ä", "m" * 129])
def test_an_id_that_could_pass_for_something_else_is_refused(message_id: str) -> None:
    """A full stop would shift what is signed; a line end would be a header."""
    with pytest.raises(ValueError, match="id"):
        signed_headers([new_secret()], message_id=message_id, timestamp_s=1, body=b"")


def test_nothing_is_sent_unsigned() -> None:
    """No secret is a mistake, not a message without a signature."""
    with pytest.raises(ValueError, match="at least one"):
        signed_headers([], message_id="msg_1", timestamp_s=1, body=b"")

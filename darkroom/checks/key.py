"""Check that the API accepts the key. The request has no prompt, so it cannot cost anything."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.errors import UserError
from darkroom.safe_address import safe_address
from darkroom.settings import REAL_API_URL, Settings
from darkroom.wiring.factory import Wiring
from playground.answers.verdict import Meaning, Verdict

__all__ = ["check_key"]

ABOUT = "API key"
TIMEOUT_S = 10.0


def check_key(wiring: Wiring) -> Iterator[Finding]:
    """Check that the API answers at its address and accepts the key.

    Raises:
        UserError: no key is set, or the key or the address is invalid.
    """
    settings = wiring.settings
    if settings.playground_api_key is None and settings.playground_url == REAL_API_URL:
        raise UserError(
            "DARKROOM_PLAYGROUND_API_KEY is not set, and the real API wants one; "
            "`darkroom simulator` needs none"
        )
    yield _finding(settings.playground_url, _send_probe(settings))


def _send_probe(settings: Settings) -> Verdict:
    """Ask with a separate client, whose timeouts are shorter than those for images."""
    patience = {"read_timeout_s": TIMEOUT_S, "call_deadline_s": TIMEOUT_S, "concurrency": 1}
    try:
        client = Wiring(settings.model_copy(update=patience)).playground
    except (ValueError, OSError) as error:
        raise UserError(f"DARKROOM_PLAYGROUND_URL, DARKROOM_PLAYGROUND_API_KEY: {error}") from error
    try:
        return client.check_key()
    finally:
        client.close()


def _finding(url: str, verdict: Verdict) -> Finding:
    address = safe_address(url)
    detail = f"({verdict.code}: {verdict.message})"
    match verdict.meaning:
        case Meaning.REFUSED if verdict.code.startswith("HTTP_"):
            text = f"{address} refused a request without a prompt, but not as the API does {detail}"
            return Finding(ABOUT, Level.WARN, text, "check DARKROOM_PLAYGROUND_URL")
        case Meaning.REFUSED:
            return Finding(ABOUT, Level.OK, f"{address} accepted the API key {detail}")
        case Meaning.BLOCKED:
            text = f"DARKROOM_PLAYGROUND_API_KEY: refused by {address} {detail}"
            return Finding(ABOUT, Level.BAD, text, "check the key and the account's balance")
        case Meaning.TOO_FAST:
            text = f"{address} is too busy to check the key now {detail}"
            return Finding(ABOUT, Level.WARN, text, "try again in a minute")
        case Meaning.NOT_PAID | Meaning.UNKNOWN if not verdict.is_foreign:
            text = f"DARKROOM_PLAYGROUND_URL: {address} does not answer now {detail}"
            return Finding(ABOUT, Level.BAD, text, stops_worker=False)
        case _:
            text = f"DARKROOM_PLAYGROUND_URL: {address} is not the image API {detail}"
            return Finding(ABOUT, Level.BAD, text, f"the real one is {REAL_API_URL}")

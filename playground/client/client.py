"""Send requests to the paid API, with one client per process, shared by its threads.

A call costs money and cannot be undone, so the client does nothing implicitly: no retries, no
redirects (a 307 would post again), no `~/.netrc` in place of the key, no cookies. The client
distinguishes what was never sent from what may have been charged, and enforces each call's
deadlines. `answers/judge.py` interprets the responses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson
import requests
from requests.structures import CaseInsensitiveDict
from urllib3.util import Timeout

from http1 import exchange, host_header
from playground.answers.judge import judge
from playground.answers.verdict import Answer, Verdict
from playground.client.connection import CallAdapter, current_call, send_watched
from playground.client.deadline import CallClock, Watchdog
from playground.client.http_errors import FOREIGN, call_failed
from playground.client.pending import PendingAnswer
from playground.errors import NotSent, PlaygroundError

# Servers usually close idle connections after 60 s or more (nginx: 75, AWS: 60, Node.js: 5 with its
# default); the default here is below most. A connection that the server has already closed is
# detected anyway; the idle limit is for one that is closing at that moment.
DEFAULT_IDLE_TIMEOUT_S: Final = 15.0
USER_AGENT: Final = "darkroom-queue"
_MASK: Final = b"***"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Say where the API is, and how long and how much a call may take.

    Attributes:
        url: the API's address, `https://playground.com/api/models/external/v1`.
        api_key: the bearer key; None sends no `Authorization` (the simulator needs none).
        connect_timeout_s: for one TCP connection and one TLS handshake.
        read_timeout_s: longest silence while waiting for the response.
        total_timeout_s: from the start of a call to the last byte of its response.
        max_answer_bytes: largest response held in memory.
        pool_size: connections kept alive: as many as calls are in flight.
        proxy_url: proxy for the API's address, or None for none.
        ca_bundle: path of a PEM file with the authorities to trust, or None for the usual ones.
        idle_timeout_s: a connection idle for longer is not used again.
    """

    url: str = field(repr=False)
    api_key: str | None = field(repr=False)
    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float
    max_answer_bytes: int
    pool_size: int
    proxy_url: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S


class PlaygroundClient:
    """Send image requests. Thread-safe; close it when done.

    Raises:
        ValueError: the key is not a valid header value, or the address is not HTTP.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._address: Final = _address(settings.url)
        self._key: Final = _checked_key(settings.api_key)
        self._total_timeout_s: Final = settings.total_timeout_s
        self._max_answer_bytes: Final = settings.max_answer_bytes
        self._timeout: Final = Timeout(
            connect=settings.connect_timeout_s, read=settings.read_timeout_s
        )
        proxy_url = settings.proxy_url
        self._proxies: Final = {"http": proxy_url, "https": proxy_url} if proxy_url else {}
        self._verify: Final = settings.ca_bundle or True
        self._adapter: Final = CallAdapter(
            pool_size=settings.pool_size, idle_timeout_s=settings.idle_timeout_s
        )
        self._session: Final = _session(self._adapter, self._key)
        self._blank: Final = self._session.prepare_request(requests.Request("POST", settings.url))
        self._host: Final = host_header(str(self._blank.url))
        self._watchdog: Final = Watchdog()

    def __repr__(self) -> str:
        """Return the address, never the key."""
        return f"{type(self).__name__}({self._address}, key {'set' if self._key else 'not set'})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, wire: Mapping[str, object]) -> PendingAnswer:
        """Send one request; from this moment it may cost money.

        Args:
            wire: the body, as `to_wire` makes it.

        Returns:
            The response's head; close it (or use it in `with`) to give the connection back.

        Raises:
            NotSent: the request was not sent completely: not paid.
            OutcomeUnknown: it was sent, and no response came: it may have been charged.
        """
        clock = CallClock(self._total_timeout_s)
        body = _json(wire)
        try:
            self._watchdog.guard(clock)
        except RuntimeError:  # "can't start new thread"
            raise NotSent("NO_THREADS", "this process can't start another thread") from None
        current_call.clock = clock
        try:
            response = self._post(body)
        except FOREIGN as error:
            clock.detach()
            raise call_failed(error, clock, self._address) from None
        finally:
            current_call.clock = None
        return PendingAnswer(
            response,
            clock,
            address=self._address,
            max_answer_bytes=self._max_answer_bytes,
            mask=self._masked,
        )

    def check_key(self) -> Verdict:
        """Check whether the key is accepted, without requesting an image.

        The request lacks its prompt, so it cannot be charged. REFUSED (400) means that the key was
        accepted, BLOCKED (401, 402, 403) that it was not. Any other verdict is returned unchanged.
        """
        try:
            with self.send({}) as pending:
                answer = Answer(pending.status, pending.headers, pending.read())
        except PlaygroundError as error:
            return judge(error)
        return judge(answer)

    def close(self) -> None:
        """Close the idle connections and end the deadline thread."""
        self._session.close()
        self._watchdog.stop()

    def _post(self, body: bytes) -> Any:
        """Send over the connections directly: `requests` costs more CPU than they do."""
        pool, target = self._connections
        size = str(len(body))
        return exchange(
            pool,
            "POST",
            target,
            headers={"Host": self._host, **self._blank.headers, "Content-Length": size},
            pieces=[body],
            timeout=self._timeout,
            retries=self._adapter.max_retries,
            send=send_watched,
        )

    @cached_property
    def _connections(self) -> tuple[Any, str]:
        """Return the pool for the API and the request target, as `requests` derives them."""
        url = str(self._blank.url)
        pool = self._adapter.get_connection_with_tls_context(
            self._blank, self._verify, proxies=self._proxies
        )
        self._adapter.cert_verify(pool, url, self._verify, cert=None)  # type: ignore[no-untyped-call]  # requests has no types
        return pool, self._adapter.request_url(self._blank, self._proxies)

    def _masked(self, body: bytes) -> bytes:
        return body.replace(self._key.encode(), _MASK) if self._key else body


def _json(wire: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(wire)
    except TypeError as error:  # includes orjson.JSONEncodeError
        raise NotSent("NOT_JSON", f"the request can't be written as JSON: {error}") from None


def _session(adapter: CallAdapter, key: str | None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers = CaseInsensitiveDict(
        {
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
    )
    if key is not None:
        session.headers["Authorization"] = f"Bearer {key}"
    return session


def _address(url: str) -> str:
    """Return host and port, and nothing of a URL that could be secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the API's address must begin with http:// or https:// and name a host")
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _checked_key(key: str | None) -> str | None:
    """Refuse a key that is not a valid header value, without quoting it."""
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise ValueError("the API key must be printable ASCII without spaces")
    return key

"""Send requests to one gateway: sessions, timeouts, retries, and translated exceptions.

The handles decide what to request, and interpret the content of responses.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests
from requests.adapters import BaseAdapter
from requests.auth import AuthBase

from darkroom_client import errors
from darkroom_client.final_response import FinalAdapter
from darkroom_client.problems import problem
from darkroom_client.retries import Retries

#: Only images and results are larger than this, and those are streamed.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_REDIRECTS = 300
_T = TypeVar("_T")


class _Bearer(AuthBase):
    """Send the key, or nothing; otherwise `requests` would send the credentials of a `.netrc`."""

    def __init__(self, api_key: str | None) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._api_key is not None:
            request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


@dataclass(frozen=True)
class Ask:
    """One request, in a form that can be sent again.

    Attributes:
        method: `GET`, `POST` …
        path: below the gateway's address, beginning with a slash.
        headers: besides those that every request has.
        body: makes the body, afresh each time it is sent; None for none.
        idempotency_key: sent as a header; without one, only a GET is sent again.
        repeatable: whether sending it twice has the same effect as sending it once; None derives it
            from the method and the key.
        may_redirect: true if the response may be an address; it is returned, never followed.
        read_timeout_s: longest silence; None for the connection's own.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], bytes | Iterator[bytes]] | None = None
    idempotency_key: str | None = None
    repeatable: bool | None = None
    may_redirect: bool = False
    read_timeout_s: float | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether sending it twice has the same effect as sending it once."""
        if self.repeatable is not None:
            return self.repeatable
        return self.method == "GET" or self.idempotency_key is not None


class Connection:
    """Send requests to one gateway; safe for any number of threads, and for forked processes.

    Args:
        url: the gateway's address, such as `https://darkroom.example.com`.
        api_key: sent with every request; None for a gateway without keys.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence while a response is awaited or read.
        retries: limits for retries.
        adapter: sends the requests, in place of the network.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        retries: Retries,
        user_agent: str,
        adapter: BaseAdapter | None = None,
    ) -> None:
        self.url = _address(url)
        self.read_timeout_s = read_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._retries = retries
        self._user_agent = f"{user_agent} python/{sys.version_info[0]}.{sys.version_info[1]}"
        self._auth, self._no_key = _Bearer(api_key), _Bearer(None)
        self._adapter = adapter
        self._session = (os.getpid(), self._new_session())

    def json(self, ask: Ask) -> tuple[int, Any]:
        """Send a request, and return the status and content of its JSON response.

        Raises:
            DarkroomError: none of the allowed attempts succeeded.
        """
        return self._repeated(ask, lambda: self._whole(ask))

    @contextmanager
    def open(self, ask: Ask) -> Iterator[requests.Response]:
        """Send a request, and return the response with its body still to be read.

        Raises:
            DarkroomError: as `json`; a connection that breaks while the body is read is `NoAnswer`.
        """
        with self._repeated(ask, lambda: self._begun(ask)) as answer, _translated(ask):
            yield answer

    @contextmanager
    def open_link(self, url: str) -> Iterator[requests.Response]:
        """Get a signed link, without the key: the bucket responds, not the gateway."""
        ask = Ask("GET", "")
        with self._repeated(ask, lambda: self._got(url)) as answer, _translated(ask):
            yield answer

    def close(self) -> None:
        """Close the idle connections."""
        self._session[1].close()

    def _repeated(self, ask: Ask, once: Callable[[], _T]) -> _T:
        """Call `once`, and retry for as long as that may help and is allowed."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return once()
            except (errors.TooManyRequests, errors.Unavailable) as error:
                wait_s = self._retries.wait_s(attempt, error.retry_after_s)
                lasting = isinstance(error, errors.NoAnswer) and error.lasting
                if wait_s is None or lasting or not ask.may_be_repeated:
                    raise
            time.sleep(wait_s)

    def _whole(self, ask: Ask) -> tuple[int, Any]:
        with self._begun(ask) as answer, _translated(ask):
            content = _json(_bounded(answer))
            if content is None:
                raise errors.NotTheGateway(f"the response is not JSON (HTTP {answer.status_code})")
            return answer.status_code, content

    def _begun(self, ask: Ask) -> requests.Response:
        """Send a request, and raise if the response is an error."""
        with _translated(ask):
            answer = _require_whole_body(self._send(ask))
            if answer.status_code < _REDIRECTS or (answer.is_redirect and ask.may_redirect):
                return answer
            with answer:
                content = None if answer.is_redirect else _json(_bounded(answer))
        raise problem(answer.status_code, answer.headers, content, ask.idempotency_key)

    def _got(self, url: str) -> requests.Response:
        with _translated(Ask("GET", "")):
            answer = _require_whole_body(self._get(url))
            if answer.ok:
                return answer
            answer.close()
        raise problem(answer.status_code, answer.headers, None)

    def _send(self, ask: Ask) -> requests.Response:
        headers = {"Accept": "application/json", **ask.headers}
        if ask.idempotency_key is not None:
            headers["Idempotency-Key"] = ask.idempotency_key
        return self._own_session().request(
            ask.method,
            self.url + ask.path,
            headers=headers,
            data=None if ask.body is None else ask.body(),
            auth=self._auth,
            timeout=(self._connect_timeout_s, ask.read_timeout_s or self.read_timeout_s),
            allow_redirects=False,  # the key is for this address only
            stream=True,
        )

    def _get(self, url: str) -> requests.Response:
        timeout = (self._connect_timeout_s, self.read_timeout_s)
        return self._own_session().get(url, auth=self._no_key, timeout=timeout, stream=True)

    def _own_session(self) -> requests.Session:
        """Return this process's session: sockets shared after a fork would mix up responses."""
        pid, session = self._session
        if pid != os.getpid():
            session = self._new_session()
            self._session = (os.getpid(), session)
        return session

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.headers["User-Agent"] = self._user_agent
        adapter = self._adapter or FinalAdapter()
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("the gateway's address begins with http:// or https://")
    return url.rstrip("/")


@contextmanager
def _translated(ask: Ask) -> Iterator[None]:
    """Translate an exception of `requests`, without its message, which contains signed links."""
    try:
        yield
    except requests.RequestException as error:
        ours = errors.NoAnswer(
            f"{ask.method} {ask.path or 'a signed link'}: {type(error).__name__}",
            idempotency_key=ask.idempotency_key,
        )
        ours.lasting = isinstance(error, (requests.exceptions.SSLError, ValueError))
        raise ours from None


def _require_whole_body(answer: requests.Response) -> requests.Response:
    """Raise if a body is shorter than announced, which urllib3 before 2 does not do."""
    answer.raw.enforce_content_length = True
    return answer


def _bounded(answer: requests.Response) -> bytes:
    body = bytearray()
    for piece in answer.iter_content(64 * 1024):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise errors.NotTheGateway(f"the response has more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

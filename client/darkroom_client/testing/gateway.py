"""Answer requests as a gateway would, at the point where `requests` would open a socket.

Routes and responses are those of `docs/http-api.md`, as far as the client uses them; a contract
test runs the same tests against both gateways.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.response import HTTPResponse

from darkroom_client.state import ENDED
from darkroom_client.testing.jobs import FakeJobs
from darkroom_client.testing.lines import Lines
from darkroom_client.testing.rules import faults_in

_ID = r"([0-9a-f-]{36})"


@dataclass(frozen=True)
class Received:
    """A parsed request."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str | None:
        """Its idempotency key."""
        return self.headers.get("Idempotency-Key")


@dataclass(frozen=True)
class Answer:
    """A response, to be converted into `requests`' form."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeGateway(BaseAdapter):
    """Answer requests from memory.

    Args:
        jobs: the jobs in memory.
    """

    def __init__(self, jobs: FakeJobs) -> None:
        super().__init__()
        self._jobs = jobs
        self._routes = (
            ("POST", re.compile("/v1/jobs"), self._submit),
            ("GET", re.compile(f"/v1/jobs/{_ID}"), self._show),
            ("GET", re.compile(f"/v1/jobs/{_ID}/images/([0-9]+)"), self._picture),
            ("GET", re.compile(f"/v1/jobs/{_ID}/events"), self._events),
            ("POST", re.compile(f"/v1/jobs/{_ID}/cancel"), self._cancel),
            ("POST", re.compile("/v1/batches"), self._submit_many),
            ("GET", re.compile(f"/v1/batches/{_ID}"), self._show_batch),
            ("GET", re.compile(f"/v1/batches/{_ID}/results"), self._results),
            ("POST", re.compile(f"/v1/batches/{_ID}/cancel"), self._cancel_batch),
            ("GET", re.compile("/objects/(.+)"), self._object),
        )

    def send(
        self, request: requests.PreparedRequest, *_how: object, **_more: object
    ) -> requests.Response:
        """Answer a request; timeouts and certificates have no effect here."""
        received = _read(request)
        with self._jobs.lock:
            if self._jobs.refusals:
                return _response(request, self._refused())
            return _response(request, self._answer(request.method or "", received))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _refused(self) -> Answer:
        refusal = self._jobs.refusals.popleft()
        answer = _problem(refusal.status, "refused-by-the-test", refusal.detail)
        if refusal.retry_after_s is None:
            return answer
        return Answer(answer.status, answer.body, {"Retry-After": f"{refusal.retry_after_s:g}"})

    def _answer(self, method: str, received: Received) -> Answer:
        for verb, path, route in self._routes:
            found = path.fullmatch(received.path)
            if verb == method and found is not None:
                return route(received, *found.groups())
        return _problem(404, "not-found", "there is no such address")

    def _submit(self, received: Received) -> Answer:
        given = json.loads(received.body)
        request = given.pop("request", None)
        faults = faults_in(request, given)
        if faults:
            return _problem(422, "invalid-request", "it breaks rules", faults=faults)
        same, other = self._jobs.known("job", received.key, request)
        if other is not None:
            return _problem(409, "idempotency-conflict", "another request", holder=other)
        job_id = same or self._jobs.add(request, given, None)
        self._jobs.remember("job", received.key, request, job_id)
        job = {**self._jobs.by_id[job_id], "created": same is None}
        if received.query.get("position", "no").lower() in {"0", "false", "no"}:
            job["queue_position"] = None
        return _json(200 if same or job["status"] in ENDED else 202, job)

    def _show(self, _received: Received, job_id: str) -> Answer:
        job = self._jobs.by_id.get(job_id)
        return _no_such_thing() if job is None else _json(200, job)

    def _picture(self, _received: Received, job_id: str, index: str) -> Answer:
        job = self._jobs.by_id.get(job_id)
        if job is None:
            return _no_such_thing()
        if not job["images"]:
            return _problem(409, "no-image", f"the job is {job['status']} and has no picture")
        found = [image["url"] for image in job["images"] if str(image["index"]) == index]
        return Answer(302, headers={"Location": found[0]}) if found else _no_such_thing()

    def _events(self, received: Received, job_id: str) -> Answer:
        job = self._jobs.by_id.get(job_id)
        if job is None:
            return _no_such_thing()
        ended, error = job["status"] in ENDED, job["error"] or {}
        place = f"1-1-{job['status']}"
        body = "retry: 10\n\n"
        if received.headers.get("Last-Event-ID") != place:
            told = {name: job[name] for name in ("id", "status", "cancel_asked")}
            told.update(attempts=1, error_code=error.get("code"), ended=ended)
            body += f"id: {place}\nevent: status\ndata: {json.dumps(told)}\n\n"
        elif ended:
            return Answer(204)
        return Answer(200, body.encode(), {"Content-Type": "text/event-stream"})

    def _cancel(self, _received: Received, job_id: str) -> Answer:
        job = self._jobs.by_id.get(job_id)
        if job is None:
            return _no_such_thing()
        cancelled = self._jobs.cancel(job)
        return _json(200, {"outcome": "cancelled" if cancelled else "ended_already", "job": job})

    def _object(self, _received: Received, key: str) -> Answer:
        data = self._jobs.objects.get(key)
        return Answer(404) if data is None else Answer(200, data, {"Content-Type": "image/png"})

    def _submit_many(self, received: Received) -> Answer:
        name = received.query.get("name")
        callback_url = received.query.get("callback_url")
        if faults := faults_in({"prompt": "any"}, {"callback_url": callback_url}):
            return _problem(422, "invalid-request", "it breaks rules", faults=faults)
        lines = Lines(received.body, int(received.query.get("priority", "0")))
        if not lines.count:
            return _problem(400, "body-unreadable", "the batch is empty")
        keep_out = {"faulty_lines": lines.faulty, "faults": lines.faults} if lines.faulty else {}
        if lines.faulty and (not lines.good or received.query.get("skip_invalid") != "true"):
            return _problem(422, "faulty-lines", f"faulty lines: {lines.faulty}", **keep_out)
        content = [received.body.decode(), callback_url]
        same, other = self._jobs.known("batch", received.key, content)
        if other is not None:
            return _problem(409, "idempotency-conflict", "other lines", holder=other)
        reuse = received.query.get("reuse") == "true"
        batch_id = same or self._jobs.add_batch(lines.good, name, callback_url, reuse=reuse)
        self._jobs.remember("batch", received.key, content, batch_id)
        return _json(200 if same else 202, {**self._jobs.batch(batch_id), **keep_out})

    def _show_batch(self, _received: Received, batch_id: str) -> Answer:
        if batch_id not in self._jobs.batches:
            return _no_such_thing()
        return _json(200, self._jobs.batch(batch_id))

    def _results(self, _received: Received, batch_id: str) -> Answer:
        if batch_id not in self._jobs.batches:
            return _no_such_thing()
        lines = [json.dumps(line) + "\n" for line in self._jobs.results(batch_id)]
        return Answer(200, "".join(lines).encode(), {"Content-Type": "application/jsonl"})

    def _cancel_batch(self, _received: Received, batch_id: str) -> Answer:
        if batch_id not in self._jobs.batches:
            return _no_such_thing()
        done = sum(self._jobs.cancel(job) for job in self._jobs.of_batch(batch_id))
        return _json(200, {"cancelled": done, "asked": 0, "complete": True})


def _read(request: requests.PreparedRequest) -> Received:
    parts = urlsplit(request.url or "")
    given = parse_qs(str(parts.query), keep_blank_values=True)
    query = {name: values[-1] for name, values in given.items()}
    return Received(str(parts.path), query, request.headers, _whole(request.body))


def _whole(body: bytes | str | Iterable[bytes] | None) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode("utf-8")
    return body if isinstance(body, bytes) else b"".join(body)


def _json(status: int, content: object) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _problem(status: int, slug: str, detail: str, **facts: Any) -> Answer:
    kind = {"type": f"urn:darkroom:problem:{slug}", "title": slug.replace("-", " ")}
    told = {**kind, "status": status, "detail": detail, **facts}
    return Answer(status, json.dumps(told).encode(), {"Content-Type": "application/problem+json"})


def _no_such_thing() -> Answer:
    return _problem(404, "not-found", "there is nothing here")


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.raw = HTTPResponse(
        io.BytesIO(answer.body), dict(answer.headers), answer.status, preload_content=False
    )
    response.url, response.request = request.url or "", request
    return response

"""Keep the jobs of a gateway in memory, in the form of the gateway's responses."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from darkroom_client.testing.png import HEIGHT, WIDTH, tiny_png

_dice = random.SystemRandom()

_STATES = ("queued", "running", "storing", "succeeded", "failed", "cancelled")

_TIMES = ("accepted_at", "first_call_at", "image_in_hand_at", "ended_at", "expires_at")


@dataclass(frozen=True)
class Failure:
    """How a job will end."""

    code: str
    message: str
    whose: str


@dataclass(frozen=True)
class Refusal:
    """How a request will be answered."""

    status: int
    retry_after_s: float | None
    detail: str


class FakeJobs:
    """A results table in memory, and what a test sets to happen.

    Attributes:
        by_id: every job, in the form of the gateway's responses, in order of submission.
        batches: every batch, without what its jobs contain.
        objects: the bucket: bytes by object key.
        failures: how the next jobs end; the others succeed.
        refusals: how the next requests are answered.
        held: true while jobs stay queued.
        lock: taken for each request: users' code has threads.
    """

    def __init__(self, url: str) -> None:
        self.by_id: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.failures: deque[Failure] = deque()
        self.refusals: deque[Refusal] = deque()
        self.held = False
        self.lock = threading.RLock()
        self._url = url
        self._line_keys: dict[str, str | None] = {}
        self._keys: dict[tuple[str, str], tuple[str, str]] = {}
        self._reusable: dict[str, str] = {}

    def known(self, kind: str, key: str | None, content: object) -> tuple[str | None, str | None]:
        """Return the id under this key: first if the content is the same, second if not."""
        if key is None or (kind, key) not in self._keys:
            return None, None
        holder, digest = self._keys[kind, key]
        return (holder, None) if digest == _digest(content) else (None, holder)

    def remember(self, kind: str, key: str | None, content: object, holder: str) -> None:
        """Record the content and the holder of a key."""
        if key is not None:
            self._keys[kind, key] = (holder, _digest(content))

    def add(self, request: dict[str, Any], options: dict[str, Any], batch_id: str | None) -> str:
        """Accept a job, and end it unless jobs are held."""
        job_id = str(uuid.uuid4())
        kept = {name: value for name, value in request.items() if name != "init_image"}
        self.by_id[job_id] = {
            "id": job_id,
            "status": "queued",
            "owner": "default",
            "batch_id": batch_id,
            "metadata": options.get("metadata"),
            "request": {**kept, "seed": request.get("seed") or _dice.randint(1, 65535)},
            "priority": options.get("priority", 0),
            "calls": {"made": 0, "unknown": 0, "useless": 0, "lost": 0},
            "error": None,
            "images": [],
            "times": {**dict.fromkeys(_TIMES), "accepted_at": _now()},
            "queue_position": 1,
            "cancel_asked": False,
            "simulated": False,
            "callback_url": options.get("callback_url"),
            "on_end": options.get("on_end"),
            "delivery": None,
            "reused_from": None,
        }
        if options.get("reuse") and "seed" in request:
            self._reusable[job_id] = _digest(request)
        if not self._reuse(self.by_id[job_id]) and not self.held:
            self._end(self.by_id[job_id])
        return job_id

    def add_batch(
        self,
        lines: list[dict[str, Any]],
        name: str | None,
        callback_url: str | None = None,
        *,
        reuse: bool = False,
    ) -> str:
        """Accept a batch of valid lines, as `testing.lines` reads them."""
        batch_id, now = str(uuid.uuid4()), _now()
        self.batches[batch_id] = {
            "id": batch_id,
            "name": name,
            "owner": "default",
            "created_at": now,
            "opened_at": now,
            "callback_url": callback_url,
            "on_end": None,
            "delivery": None,
        }
        for line in lines:
            job_id = self.add(line["request"], {**line["options"], "reuse": reuse}, batch_id)
            self._line_keys[job_id] = line["key"]
        return batch_id

    def of_batch(self, batch_id: str) -> list[dict[str, Any]]:
        """Return a batch's jobs."""
        return [job for job in self.by_id.values() if job["batch_id"] == batch_id]

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch in the form of the gateway's response."""
        jobs = self.of_batch(batch_id)
        counts = {state: sum(job["status"] == state for job in jobs) for state in _STATES}
        over = not counts["queued"]
        return {
            **self.batches[batch_id],
            "status": "ended" if over else "running",
            "total": len(jobs),
            "counts": counts,
            "rate_per_s": None,
            "eta_s": 0.0 if over else None,
            "closed_at": max(job["times"]["ended_at"] for job in jobs) if over else None,
        }

    def results(self, batch_id: str) -> list[dict[str, Any]]:
        """Return the results of a batch's lines."""
        return [
            {
                **{
                    name: job[name] for name in ("id", "status", "metadata", "error", "reused_from")
                },
                "key": self._line_keys[job["id"]],
                "seed": job["request"]["seed"],
                "object_keys": [image["key"] for image in job["images"]],
            }
            for job in self.of_batch(batch_id)
        ]

    def release(self) -> None:
        """End the queued jobs."""
        with self.lock:
            self.held = False
            for job in self.by_id.values():
                if job["status"] == "queued":
                    self._end(job)

    def cancel(self, job: dict[str, Any]) -> bool:
        """Cancel a queued job; return whether it was cancelled."""
        if job["status"] != "queued":
            return False
        error = {
            "code": "CANCELLED",
            "message": "someone asked for it to stop",
            "whose": "operator",
        }
        self._over(job, "cancelled", error=error)
        return True

    def _reuse(self, job: dict[str, Any]) -> bool:
        """Reuse the image of an identical job; return whether there was one."""
        wanted = self._reusable.get(job["id"])
        for job_id, digest in self._reusable.items():
            source = self.by_id[job_id]
            if digest == wanted and source["status"] == "succeeded":
                job["times"]["image_in_hand_at"] = _now()
                self._over(job, "succeeded", images=source["images"], reused_from=job_id)
                return True
        return False

    def _end(self, job: dict[str, Any]) -> None:
        now = _now()
        job["calls"]["made"] = 1
        job["times"]["first_call_at"] = now
        if self.failures:
            failure = self.failures.popleft()
            error = {"code": failure.code, "message": failure.message, "whose": failure.whose}
            self._over(job, "failed", error=error)
        else:
            job["times"]["image_in_hand_at"] = now
            self._over(job, "succeeded", images=[self._store(job)])

    def _store(self, job: dict[str, Any]) -> dict[str, Any]:
        png = tiny_png(job["request"]["seed"])
        key = f"darkroom/images/{job['id']}/1-0.png"
        self.objects[key] = png
        return {
            "index": 0,
            "key": key,
            "sha256": hashlib.sha256(png).hexdigest(),
            "size_bytes": len(png),
            "width": WIDTH,
            "height": HEIGHT,
            "url": f"{self._url}/objects/{key}",
        }

    def _over(self, job: dict[str, Any], status: str, **more: Any) -> None:
        job.update(status=status, queue_position=None, **more)
        job["times"]["ended_at"] = _now()


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()

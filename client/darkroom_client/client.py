"""Submit jobs and batches, and return handles on them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlencode

from requests.adapters import BaseAdapter

from darkroom_client.batch import Batch, read_batch
from darkroom_client.body import Lines, LinesBroken, job_body
from darkroom_client.connection import Ask, Connection
from darkroom_client.job import Job
from darkroom_client.retries import Retries
from darkroom_client.state import read_job
from darkroom_client.version import __version__

_JSON = {"Content-Type": "application/json"}
#: The gateway responds when the last line is checked and stored: a million lines take it a minute.
_BATCH_TIMEOUT_S = 600.0
_CREATED = frozenset({201, 202})


_Self = TypeVar("_Self", bound="Client")


class Client:
    """One gateway, for one owner. Make it once and share it between threads and forked processes.

    Args:
        url: the gateway's address, such as `https://darkroom.example.com`.
        api_key: from `darkroom keys create`; None for a gateway without keys.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence while waiting for a response.
        retries: limits for retries. A request is retried after a broken connection, a 429 or an
            unavailable gateway, and only if that cannot create a second job.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 30.0,
        retries: Retries | None = None,
    ) -> None:
        self._connection = Connection(
            url,
            api_key,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            retries=Retries() if retries is None else retries,
            user_agent=f"darkroom-client/{__version__}",
            adapter=self._adapter(),
        )

    def __repr__(self) -> str:
        return f"<Client {self._connection.url}>"

    def __enter__(self: _Self) -> _Self:  # noqa: PYI019 - Python 3.9 has no `Self`
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._connection.close()

    def submit(
        self,
        prompt: str,
        *,
        negative_prompt: str | None = None,
        filter_model: str | None = None,
        width: int | None = None,
        height: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: int | None = None,
        scheduler: str | None = None,
        seed: int | None = None,
        init_image: bytes | str | None = None,
        strength: float | str | None = None,
        expand_prompt: bool | None = None,
        verify_prompt_safety: bool | None = None,
        prompt_rejection_topics: Iterable[str] | None = None,
        prompt_filter: str | None = None,
        priority: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        expires_in_s: float | None = None,
        callback_url: str | None = None,
        on_end: Mapping[str, str] | None = None,
        reuse: bool | None = None,
        position: bool = False,
        **more: Any,
    ) -> Job:
        """Submit one job. When this returns, the job is stored and will run without this client.

        The parameters of the image are the image API's own, and the gateway checks them. Unset
        parameters are not sent.

        Args:
            prompt: what the image shows.
            negative_prompt: what it does not.
            filter_model: the model; unset, the latest.
            width: in pixels.
            height: in pixels.
            num_inference_steps: more are finer, and slower.
            guidance_scale: how strongly the prompt steers.
            scheduler: the sampler.
            seed: makes an image repeatable; chosen and recorded if unset.
            init_image: first image of an img2img request: its bytes, or base64 text.
            strength: for img2img, from 0 (the initial image) to 1 (an entirely new one).
            expand_prompt: let a language model rewrite the prompt.
            verify_prompt_safety: let a model check that the prompt is safe.
            prompt_rejection_topics: topics that make the API refuse the prompt.
            prompt_filter: a look applied to the prompt.
            priority: -100 to 100; higher goes first.
            metadata: a JSON object of at most 4096 bytes, returned with the job.
            idempotency_key: your name for this one job, such as `order-4711-cover`. Submitted again
                under it, from any process, it is the same job. By default a fresh one, which covers
                this call's own retries and nothing else.
            expires_in_s: a job that has not started by then is cancelled.
            callback_url: the address that is notified by webhook when the job has ended (see
                `webhooks.verify`).
            on_end: a Celery task that is sent then, instead: `{"task": …, "queue": …}`. It needs an
                API key with the scope admin.
            reuse: reuse the image of an identical request of the same owner, its `seed` included,
                if there is one; this costs no call. If unset, the owner's setting applies.
            position: have the gateway estimate the job's `state.queue_position`, which costs it
                several statements; `refresh` always reads it.
            **more: parameters of the API that this release does not have yet.

        Returns:
            A handle; its `created` is False if the key found an existing job. A job that reuses
            another's image is new; its `state.reused_from` has the other's id.

        Raises:
            InvalidRequest: `faults` lists every fault, by field; nothing was stored.
            Conflict: the key belongs to another request.
            TooManyRequests: a limit of the owner was reached, and stayed so.
            Unavailable: the gateway was unavailable, or never responded; its `idempotency_key` is
                the key under which to try again.
        """
        request = {
            "prompt": prompt,
            "negative_prompt": negative_prompt,
            "filter_model": filter_model,
            "width": width,
            "height": height,
            "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale,
            "scheduler": scheduler,
            "seed": seed,
            "init_image": init_image,
            "strength": strength,
            "expand_prompt": expand_prompt,
            "verify_prompt_safety": verify_prompt_safety,
            "prompt_rejection_topics": _listed(prompt_rejection_topics),
            "prompt_filter": prompt_filter,
            **more,
        }
        options = {
            "priority": priority,
            "metadata": metadata,
            "expires_in_s": expires_in_s,
            "callback_url": callback_url,
            "on_end": None if on_end is None else dict(on_end),
            "reuse": reuse,
        }
        body = job_body(request, options)
        path = "/v1/jobs?position" if position else "/v1/jobs"
        ask = Ask("POST", path, _JSON, lambda: body, idempotency_key or _fresh_key())
        status, told = self._connection.json(ask)
        state = read_job(told)
        created = bool(state.raw.get("created", status in _CREATED))
        return Job(self._connection, state.id, state, created=created)

    def submit_many(
        self,
        jobs: Iterable[Mapping[str, Any]],
        *,
        key: str | None = None,
        name: str | None = None,
        priority: int | None = None,
        skip_invalid: bool = False,
        callback_url: str | None = None,
        reuse: bool | None = None,
    ) -> Batch:
        """Submit many jobs as one batch: all of them, or none; memory does not grow with them.

        Args:
            jobs: one mapping per job: the parameters of `submit`, and `key`, `metadata` and
                `priority` of that line. The iterable must not pause for long: the gateway waits a
                minute. A list, or anything that can be iterated twice, is sent again after a broken
                connection; a generator is not, because it is used up by then.
            key: your name for the batch: submitted again under it, it is the same batch, whatever
                was lost in between. By default a fresh one.
            name: for people.
            priority: of lines without a priority.
            skip_invalid: accept the valid lines even if others are invalid; `faults` of the handle
                lists the invalid ones.
            callback_url: the address that is notified by webhook when all jobs have ended.
            reuse: reuse earlier images for lines that have a `seed`, as for `submit`.

        Raises:
            InvalidRequest: `faults` lists every fault, by line and field; nothing was stored.
            Conflict: the key belongs to other lines.
            Unavailable: as for `submit`; for a generator, start it anew under the same key.
            Exception: whatever iterating over `jobs` raises; nothing was stored.
        """
        lines = Lines(jobs)
        query = _query(
            skip_invalid="true" if skip_invalid else None,
            name=name,
            priority=priority,
            callback_url=callback_url,
            reuse=None if reuse is None else str(reuse).lower(),
        )
        ask = Ask(
            "POST",
            f"/v1/batches{query}",
            {"Content-Type": "application/jsonl"},
            lines.pieces,
            key or _fresh_key(),
            repeatable=not lines.once,
            read_timeout_s=_BATCH_TIMEOUT_S,
        )
        try:
            status, told = self._connection.json(ask)
        except LinesBroken as broken:
            raise broken.fault from None
        state = read_batch(told)
        return Batch(self._connection, state.id, state, created=status in _CREATED)

    def job(self, job_id: str | uuid.UUID) -> Job:
        """Return a handle on a job submitted earlier, by any process; sends no request yet.

        Raises:
            ValueError: this is not a job id.
        """
        return Job(self._connection, str(uuid.UUID(str(job_id))))

    def batch(self, batch_id: str | uuid.UUID) -> Batch:
        """Return a handle on a batch submitted earlier; sends no request yet.

        Raises:
            ValueError: this is not a batch id.
        """
        return Batch(self._connection, str(uuid.UUID(str(batch_id))))

    def _adapter(self) -> BaseAdapter | None:
        """Return the adapter that sends requests; the fake of `testing` overrides it."""
        return None


def _fresh_key() -> str:
    return f"auto-{uuid.uuid4()}"


def _listed(topics: Iterable[str] | None) -> object:
    # A single text is an error for the gateway to report, not a list of its characters.
    return topics if topics is None or isinstance(topics, str) else list(topics)


def _query(**parameters: object) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given)}" if given else ""

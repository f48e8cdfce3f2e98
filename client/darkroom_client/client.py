"""The door: jobs and batches go in here, and handles come out."""

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
#: The gateway answers when the last line is checked and kept: a million of them take it a minute.
_BATCH_TIMEOUT_S = 600.0
_CREATED = frozenset({201, 202})


_Self = TypeVar("_Self", bound="Client")


class Client:
    """One gateway, for one owner: make one, keep it, share it between threads and forked processes.

    Args:
        url: where the gateway is, such as `https://darkroom.example.com`.
        api_key: from `darkroom keys create`; None for a gateway without keys.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence while an answer is awaited.
        retries: bounds on sending again. A request is sent again after a broken connection, a 429
            or a gateway that is away, and only if that can make no second job.
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
        """Close the connections kept for later."""
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
        **more: Any,
    ) -> Job:
        """Hand in one job. When this returns, the job is kept and needs nothing more from you.

        The parameters of the picture are the image API's own, and its rules are the gateway's to
        know; what is unset stays unset.

        Args:
            prompt: what the picture shows.
            negative_prompt: what it does not.
            filter_model: the model; unset, the latest.
            width: in pixels.
            height: in pixels.
            num_inference_steps: more are finer, and slower.
            guidance_scale: how strongly the prompt steers.
            scheduler: the sampler.
            seed: makes a picture repeatable; chosen and recorded if unset.
            init_image: first image of an img2img request: its bytes, or base64 text.
            strength: for img2img, from 0 (the initial image) to 1 (an entirely new one).
            expand_prompt: let a language model rewrite the prompt.
            verify_prompt_safety: let a model check that the prompt is safe.
            prompt_rejection_topics: topics that make the API refuse the prompt.
            prompt_filter: a look applied to the prompt.
            priority: -100 to 100; higher goes first.
            metadata: a JSON object of at most 4096 bytes, given back with the job.
            idempotency_key: your name for this one job, such as `order-4711-cover`: sent again
                under it, from whichever process, it is the same job. By default a fresh one, which
                covers this call's own retries and nothing else.
            expires_in_s: a job that nobody has begun by then is cancelled.
            callback_url: who is told when the job has ended, by webhook (see `webhooks.verify`).
            on_end: a Celery task that is sent then, instead: `{"task": …, "queue": …}`. It takes an
                API key with the scope admin.
            reuse: answer it with the picture of an identical request of yours, its `seed`
                included, if there is one: it costs no call then. Unset, as your owner has it.
            **more: parameters of the API that this release does not know yet.

        Returns:
            A handle; its `created` is False if the key found a job that was there before. One that
            was answered with another's picture is new: its `state.reused_from` says whose.

        Raises:
            InvalidRequest: `faults` lists all that is wrong, by field; nothing was kept.
            Conflict: the key belongs to another request.
            TooManyRequests: a limit of the owner was reached, and stayed so.
            Unavailable: the gateway was away, or never answered; its `idempotency_key` says under
                which key to try again.
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
        ask = Ask("POST", "/v1/jobs", _JSON, lambda: body, idempotency_key or _fresh_key())
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
        """Hand in many jobs as one batch: all of them, or none; memory does not grow with them.

        Args:
            jobs: one mapping a job: the parameters of `submit`, and `key`, `metadata` and
                `priority` of that line. What comes must not pause for long: the gateway waits a
                minute. A list, or anything that can be gone through twice, is
                sent again after a broken connection; a generator is not, as it is used up by then.
            key: your name for the batch: sent again under it, it is the same batch, whatever was
                lost in between. By default a fresh one.
            name: for people.
            priority: of lines that have none of their own.
            skip_invalid: keep the good lines although others have faults; `faults` of the handle
                lists those.
            callback_url: who is told when all jobs have ended, by webhook.
            reuse: answer lines that have a `seed` with pictures made before, as for `submit`.

        Raises:
            InvalidRequest: `faults` lists what is wrong, by line and field; nothing was kept.
            Conflict: the key belongs to other lines.
            Unavailable: as for `submit`; for a generator, begin it anew under the same key.
            Exception: whatever going through `jobs` raises; nothing was kept.
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
        """A handle on a job that was handed in before, by whomever; the gateway is not asked yet.

        Raises:
            ValueError: this is no job id.
        """
        return Job(self._connection, str(uuid.UUID(str(job_id))))

    def batch(self, batch_id: str | uuid.UUID) -> Batch:
        """A handle on a batch that was handed in before; the gateway is not asked yet.

        Raises:
            ValueError: this is no batch id.
        """
        return Batch(self._connection, str(uuid.UUID(str(batch_id))))

    def _adapter(self) -> BaseAdapter | None:
        """What carries requests in place of the network; the fake of `testing` has one."""
        return None


def _fresh_key() -> str:
    return f"auto-{uuid.uuid4()}"


def _listed(topics: Iterable[str] | None) -> object:
    # A text alone is a mistake, and the gateway's to name: not a list of its letters.
    return topics if topics is None or isinstance(topics, str) else list(topics)


def _query(**parameters: object) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return f"?{urlencode(given)}" if given else ""

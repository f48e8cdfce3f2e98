"""`darkroom submit`: submit one job and, if asked, save its picture to a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from darkroom.cli.common.options import AsJson
from darkroom.cli.common.output import echo, interruptible, note, print_json
from darkroom.cli.jobs import submit_options as options

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from storage.intake.insert import Accepted
    from storage.records.job import Job

__all__ = ["submit"]


def submit(
    prompt: options.Prompt,
    *,
    negative_prompt: options.NegativePrompt = None,
    filter_model: options.FilterModel = None,
    width: options.Width = None,
    height: options.Height = None,
    num_inference_steps: options.Steps = None,
    guidance_scale: options.GuidanceScale = None,
    scheduler: options.Scheduler = None,
    seed: options.Seed = None,
    init_image: options.InitImage = None,
    strength: options.Strength = None,
    expand_prompt: options.ExpandPrompt = None,
    verify_prompt_safety: options.VerifyPromptSafety = None,
    prompt_rejection_topics: options.RejectionTopics = None,
    prompt_filter: options.PromptFilter = None,
    owner: options.Owner = None,
    key: options.Key = None,
    priority: options.Priority = None,
    metadata: options.Metadata = None,
    callback_url: options.CallbackUrl = None,
    on_end: options.OnEnd = None,
    expires_in: options.ExpiresIn = None,
    reuse: options.Reuse = None,
    wait: options.Wait = False,
    out: options.Out = None,
    as_json: AsJson = False,
) -> None:
    """Submit one job.

    When this returns, the job is a row of the results table and no longer depends on this command.

    Example: darkroom submit "a paper fox" --seed 7 --width 768 -o fox.png
    """
    given = dict(locals())  # every parameter of the API is a parameter here, with the same name
    accepted, wiring = _accept(given, out)
    will_wait = wait or out is not None
    _report(wiring, accepted, will_wait=will_wait)
    if will_wait:
        _wait(wiring, accepted.job, out, as_json=as_json)
    else:
        _print(accepted.job, as_json=as_json)


def _accept(given: dict[str, object], out: Path | None) -> "tuple[Accepted, Wiring]":
    """Check and accept the job; nothing is connected before the request is valid."""
    from darkroom.checks import connection_to_check
    from darkroom.cli.common.context import check_tables, wired
    from darkroom.cli.common.download import check_target
    from darkroom.cli.common.request_args import RequestArgs

    wiring = wired()
    request_args = RequestArgs(given, max_init_image_bytes=wiring.settings.max_init_image_bytes)
    request_args.check(wiring.intake)
    if out is not None:
        check_target(out)
    connection_to_check(wiring)  # the broker may be unavailable, but its address must be valid
    check_tables(wiring)
    accepted = wiring.intake.accept(request_args.request, request_args.options)
    wiring.dispatch.drain()  # what is said about the job depends on whether the broker has it
    return accepted, wiring


def _report(wiring: "Wiring", accepted: "Accepted", *, will_wait: bool) -> None:
    """Print remarks on what may delay the job."""
    from darkroom.cli.common.pause_notice import note_pauses
    from storage.fleet.leases import live_workers
    from storage.queries.get import get_job
    from storage.records.states import JobStatus

    job = accepted.job
    if not accepted.created:
        note(f"this job was submitted before: {job.status}")
        return
    job = get_job(wiring.database, job.id)
    if job.status is not JobStatus.QUEUED:
        return
    if not live_workers(wiring.database):
        note("no worker is alive; the job is kept, and starts when one is: `darkroom worker`")
    elif job.dispatched_at is None:
        note("the job is kept; it starts when its turn comes, or the broker is back")
    if not will_wait:  # otherwise the wait prints it
        note_pauses(wiring.database)


def _print(job: "Job", *, as_json: bool) -> None:
    from darkroom.cli.common.formatting import job_as_json

    if as_json:
        print_json(job_as_json(job))
        return
    echo(f"{job.id} {job.status}, seed {job.request.get('seed', '-')}")
    note(f"check again: darkroom watch {job.id}")


def _wait(wiring: "Wiring", job: "Job", out: Path | None, *, as_json: bool) -> None:
    from darkroom.cli.common.follow import follow_to_its_end
    from darkroom.cli.common.formatting import job_as_json, what_became_of

    with interruptible(f"job {job.id}", f"darkroom watch {job.id}"):
        job = follow_to_its_end(wiring.database, job)
        saved = _save(wiring, job, out)
    if as_json:
        print_json(job_as_json(job) | {"saved": saved})
    else:
        echo(what_became_of(job))
        for path in saved:
            echo(path)
    raise typer.Exit(0 if job.images else 1)


def _save(wiring: "Wiring", job: "Job", out: Path | None) -> list[str]:
    from darkroom.cli.common.download import save_images

    if out is None:
        return []
    return [str(path) for path in save_images(wiring.objects, job, out)]

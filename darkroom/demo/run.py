"""Run the demo: submit the prompts as a batch, wait for the pictures, check all of them.

It uses a real broker, a real S3 endpoint, a results table and a worker, started in one folder. Only
the API is simulated, unless the real one is requested.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from darkroom.demo.files import PICTURES, write_output, write_pages
from darkroom.demo.made import Made, Refused
from darkroom.demo.prompts import DemoPrompt, demo_prompts, prompts_file
from darkroom.demo.proof import Charges, charges, fetch, wrong_charges
from darkroom.demo.show import Bar, Show
from darkroom.errors import UserError
from darkroom.local.kind import unfinished_jobs
from darkroom.local.plan import settings_of
from darkroom.stack import Disk, Stop
from darkroom.wiring.factory import Wiring
from storage.batches.counts import batch_progress
from storage.db.database import Database
from storage.queries.get import get_jobs
from storage.queries.pages import list_jobs
from storage.records.job import Job
from storage.records.states import ENDED, JobStatus
from tasks.batches.checked_batch import BatchOptions
from tasks.batches.image_files import ImageFiles
from tasks.batches.reader import LineFile
from tasks.batches.service import Batches
from tasks.errors import LineFault

__all__ = ["Outcome", "Run"]

LOOK_EVERY_S: Final = 0.2
MAX_JOBS: Final = 1000

#: If no job ended for this long, something is broken, and its log says what.
PATIENCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        pictures: made, stored and downloaded again.
        refused: prompts that were refused, as intended.
        problems: what does not agree; empty if all is well.
        charged: calls the simulator charged for these prompts; None with the real API.
    """

    batch_id: UUID
    pictures: tuple[Made, ...]
    refused: tuple[Refused, ...]
    problems: tuple[str, ...]
    charged: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the fields for `--json`."""
        names = ("batch_id", "pictures", "refused", "problems", "charged")
        return {name: getattr(self, name) for name in names}


class Run:
    """One run over a stack that is up.

    Args:
        variables: the settings that the stack selected.
        folder: for the files that the run leaves behind.
        stop: set when the user wants to stop.
        simulated: whether the simulator answers.
    """

    def __init__(
        self, variables: Mapping[str, str], folder: Path, *, stop: Stop, simulated: bool
    ) -> None:
        self._wiring = Wiring(settings_of(variables))
        self._folder = folder
        self._stop = stop
        self._simulated = simulated
        self._file = prompts_file()
        self._prompts = demo_prompts(self._file)

    @property
    def _database(self) -> Database:
        return self._wiring.database

    def run(self, show: Show) -> Outcome:
        """Submit, wait, download, check.

        Raises:
            KeyboardInterrupt: asked to stop; the submitted jobs are kept.
            UserError: no job makes progress, or the folder can't be written.
        """
        if not self._wiring.objects.bucket_exists():
            self._wiring.objects.create_bucket()
        unfinished = unfinished_jobs(self._database)
        batch_id, faults = self._submit()
        with show.bar() as bar:
            jobs = self._wait(batch_id, bar)
        others = self._calls_since(unfinished)
        return self._outcome(batch_id, jobs, faults, others)

    def _submit(self) -> tuple[UUID, list[LineFault]]:
        batches = Batches(self._wiring.intake, self._database)
        bound = self._wiring.settings.max_init_image_bytes
        image_files = ImageFiles(self._file.parent, bound)
        with (
            self._file.open("rb") as stream,
            batches.check(
                LineFile(stream, "jsonl"), BatchOptions(name="demo"), image_files=image_files
            ) as checked,
        ):
            return batches.load(checked).batch_id, list(checked.faults)

    def _wait(self, batch_id: UUID, bar: Bar) -> list[Job]:
        """Wait until all jobs have ended; each is reported once."""
        reported: set[UUID] = set()
        last_s = time.monotonic()
        while True:
            if self._stop.requested.is_set():
                raise KeyboardInterrupt
            progress = batch_progress(self._database, batch_id)
            bar.report(progress)
            jobs = list_jobs(self._database, batch_id=batch_id, limit=MAX_JOBS)
            for job in jobs:
                if job.status in ENDED and job.id not in reported:
                    reported.add(job.id)
                    last_s = time.monotonic()
                    bar.ended(_name(job), job)
            if len(reported) == len(jobs):
                return jobs
            if Disk(self._folder).is_full():
                raise UserError(
                    f"the disk that holds {self._folder} is full: free space and start the demo "
                    "again; submitted jobs are kept, and run then"
                )
            if time.monotonic() - last_s > PATIENCE_S:
                raise UserError(
                    f"nothing ended for {PATIENCE_S:.0f} s: see {self._folder / 'logs'}"
                )
            self._stop.requested.wait(LOOK_EVERY_S)

    def _calls_since(self, before: Sequence[Job]) -> Charges:
        calls: Charges = Counter()
        after = {job.id: job for job in get_jobs(self._database, [job.id for job in before])}
        for job in before:
            made = after[job.id].calls_made - job.calls_made
            calls[job.request["prompt"], job.request["seed"]] += made
        return calls

    def _outcome(
        self, batch_id: UUID, jobs: list[Job], faults: list[LineFault], others: Charges
    ) -> Outcome:
        by_name = {_name(job): job for job in jobs}
        rejected = {fault.line: fault.reason for fault in faults}
        pictures: list[Made] = []
        refused: list[Refused] = []
        problems: list[str] = []
        for number, prompt in enumerate(self._prompts, start=1):
            if prompt.line in rejected:
                reason = rejected[prompt.line]
                refused.append(Refused(prompt.name, prompt.prompt, "at the door", reason))
                wrong = [] if prompt.is_refused else [f"{prompt.name}: {reason}"]
            else:
                wrong = self._end_of(number, prompt, by_name[prompt.name], pictures, refused)
            problems += wrong
        charged = None
        if self._simulated:
            ledger = charges(self._wiring.settings.playground_url)
            problems += wrong_charges(ledger, jobs, others)
            own_calls = {(job.request["prompt"], job.request["seed"]) for job in jobs}
            charged = sum(ledger[call] - others[call] for call in own_calls)
        self._write(batch_id, pictures, refused)
        return Outcome(batch_id, tuple(pictures), tuple(refused), tuple(problems), charged)

    def _end_of(
        self,
        number: int,
        prompt: DemoPrompt,
        job: Job,
        pictures: list[Made],
        refused: list[Refused],
    ) -> list[str]:
        """Record a job's end; return what is wrong with it."""
        if job.status is not JobStatus.SUCCEEDED:
            return _refusal(prompt, job, refused)
        data, wrong = fetch(self._wiring.objects, job, simulated=self._simulated)
        if data is not None:
            file = self._folder / PICTURES / f"{number:02d}-{prompt.name}.png"
            write_output(file, data)
            pictures.append(_made(prompt, job, file))
        if prompt.is_refused and self._simulated:
            wrong.append(f"{prompt.name}: should have been refused")
        return wrong

    def _write(self, batch_id: UUID, pictures: list[Made], refused: list[Refused]) -> None:
        if pictures:
            foot = f"Batch {batch_id}."
            write_pages(self._folder, pictures, refused, simulated=self._simulated, foot=foot)


def _refusal(prompt: DemoPrompt, job: Job, refused: list[Refused]) -> list[str]:
    error = job.error
    if error is None:
        return [f"{prompt.name}: {job.status}"]
    reason = f"{error.code}: {error.message}"
    if error.whose == "request":
        refused.append(Refused(prompt.name, prompt.prompt, "by the API", reason))
        if prompt.is_refused:
            return []
    return [f"{prompt.name}: {job.status}, {reason}"]


def _made(prompt: DemoPrompt, job: Job, file: Path) -> Made:
    (image,) = job.images
    began, ended = job.first_call_at, job.ended_at
    return Made(
        name=prompt.name,
        prompt=prompt.prompt,
        model=str(job.request.get("filter_model", "Playground_v3")),
        look=str(job.request.get("prompt_filter", "")),
        seed=int(job.request["seed"]),
        width=image.width,
        height=image.height,
        size_bytes=image.size_bytes,
        sha256=image.sha256,
        object_key=image.key,
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        file=file,
    )


def _name(job: Job) -> str:
    """Return the line's key; the job's key is prefixed with its batch."""
    return (job.idempotency_key or "").partition("/")[2]

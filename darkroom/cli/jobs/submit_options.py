"""The options of `darkroom submit`: every parameter of the API, and the options of the job.

Numbers are read as text, so that an invalid number is reported together with every other fault. The
help names the API's own default.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from darkroom.cli.common import options

_REQUEST = "The request (with the API's defaults)"
_JOB = "The job"


def _request(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_REQUEST, **more)


def _job(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_JOB, **more)


Prompt = Annotated[str, typer.Argument(help="What to draw.")]
NegativePrompt = Annotated[
    str | None, _request(metavar="TEXT", help="What is not wanted in the image.")
]
FilterModel = Annotated[str | None, _request(metavar="NAME", help="The model; Playground_v3.")]
Width = Annotated[
    str | None,
    _request(metavar="PIXELS", help="1024. A multiple of 32 with Playground_v3."),
]
Height = Annotated[str | None, _request(metavar="PIXELS", help="1024; as the width.")]
Steps = Annotated[
    str | None,
    _request(metavar="NUMBER", help="Diffusion steps, 1-150; 50."),
]
GuidanceScale = Annotated[
    str | None, _request(metavar="NUMBER", help="How strongly the prompt steers; 7.")
]
Scheduler = Annotated[str | None, _request(metavar="NAME", help="The sampler; DPMPP_2M_K.")]
Seed = Annotated[
    str | None,
    _request(metavar="NUMBER", help="1-65535: makes an image repeatable. Darkroom chooses one."),
]
InitImage = Annotated[
    Path | None, _request(metavar="FILE", help="First image of an img2img request.")
]
Strength = Annotated[
    str | None,
    _request(metavar="0-1", help="For img2img: 0 gives the first image back, 1 a wholly new one."),
]
ExpandPrompt = Annotated[
    bool | None, _request("--expand-prompt", help="Let a language model rewrite the prompt; no.")
]
VerifyPromptSafety = Annotated[
    bool | None,
    _request("--verify-prompt-safety", help="Let a model judge the prompt's safety; no."),
]
RejectionTopics = Annotated[
    list[str] | None,
    _request(
        "--prompt-rejection-topic",
        metavar="TOPIC",
        help="A topic that makes the API refuse the prompt; as often as needed.",
    ),
]
PromptFilter = Annotated[
    str | None, _request(metavar="NAME", help="A look, such as cinematic or watercolor.")
]

Owner = Annotated[str | None, _job(metavar="NAME", help="Whose job it is; default.")]
Key = Annotated[
    str | None, _job(metavar="TEXT", help="Idempotency key: the same key is the same job.")
]
Priority = Annotated[str | None, _job(metavar="NUMBER", help="Higher goes first; 0.")]
Metadata = Annotated[str | None, _job(metavar="JSON", help="A small object, kept with the job.")]
CallbackUrl = Annotated[
    str | None, _job(metavar="URL", help="URL that a webhook notifies at its end.")
]
OnEnd = Annotated[
    str | None,
    _job(metavar="QUEUE=TASK", help="Or a Celery task that is sent then, and its queue."),
]
ExpiresIn = Annotated[
    str | None, _job(metavar="TIME", help="Cancelled if not begun by then: 90s, 30m, 2h, 7d.")
]
Reuse = Annotated[
    bool | None,
    _job(
        "--reuse/--no-reuse",
        help="Take the picture of an identical job, its --seed included; as the owner has it.",
    ),
]

Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for its end; exit status 1 if that is no image.")
]
Out = Annotated[Path | None, options.out("Wait, and save the image.")]

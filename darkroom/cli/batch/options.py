"""The options of `darkroom batch`: how its lines are read, and what applies to all of them."""

from typing import Annotated, Literal

import typer

from darkroom.cli.common import options

File = Annotated[str, typer.Argument(help="JSONL or CSV, perhaps gzipped; - reads standard input.")]
LineFormat = Annotated[
    Literal["jsonl", "csv"] | None,
    typer.Option("--format", help="Format of the lines; by default from the file's name."),
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave faulty lines out instead of refusing all.")
]
Key = Annotated[
    str | None,
    typer.Option(help="Submitting the same again under this key submits nothing twice."),
]
Owner = Annotated[str, typer.Option(help="Owner of the jobs.")]
Priority = Annotated[int, typer.Option(help="Higher goes first; a line may have its own.")]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PARAM=VALUE",
        help="A parameter of lines that lack it; repeatable.",
    ),
]
CallbackUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="URL that a webhook notifies when all have ended.")
]
OnEnd = Annotated[
    str | None,
    typer.Option(metavar="QUEUE=TASK", help="Or a Celery task that is sent then, and its queue."),
]
Reuse = Annotated[
    bool | None,
    typer.Option(
        "--reuse/--no-reuse",
        help="Lines with a seed take the picture of an identical job; as the owner has it.",
    ),
]
Wait = Annotated[bool, typer.Option(help="Wait for the end of every job.")]
Yes = Annotated[bool, options.yes("Don't ask before many calls.")]

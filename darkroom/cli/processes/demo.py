"""`darkroom demo`: turn two dozen prompts into pictures in a bucket, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import print_json

__all__ = ["demo"]


def demo(
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For pictures, data, logs; kept. darkroom-demo, with --real darkroom-demo/real.",
        ),
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="Call the real API with your key, and pay.")
    ] = False,
    yes: Annotated[bool, options.yes("Don't ask before paid calls.")] = False,
    as_json: Annotated[bool, options.as_json("Print JSON at the end.")] = False,
) -> None:
    """See the whole system work: broker, worker, bucket and table, no key and no cost.

    Writes a gallery and a contact sheet into its folder, and checks every row against the bucket:
    exit status 1 if anything does not agree.

    Example: darkroom demo --data-dir ~/darkroom-demo
    """
    from darkroom.demo.demo import run_demo
    from darkroom.demo.show import Show

    show = Show(to_stderr=as_json)
    folder = data_dir or Path("darkroom-demo/real" if real else "darkroom-demo")
    try:
        outcome = run_demo(folder, real=real, yes=yes, show=show)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        print_json(outcome.as_json())
    raise typer.Exit(1 if outcome.problems else 0)

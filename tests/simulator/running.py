"""A simulator in a process of its own, spoken to as a stranger's client would."""

import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from tests.services.forked_simulator import fork_simulator
from tests.services.server import Running

REPO = Path(__file__).parents[2]
TIMEOUT_S = 20
LOOK_AGAIN_S = 0.01
SMALL = {"width": 64, "height": 64}


class RunningSimulator:
    """One simulator and a session to call it with.

    Args:
        flags: of its command line.
        folder: gets what it prints and says.
        from_nothing: whether it is `python -m simulator` as a shell would start it, instead of a
            process that has its libraries loaded already.
    """

    def __init__(self, *flags: str, folder: Path, from_nothing: bool = False) -> None:
        self._out = folder / "out"
        files = {"folder": folder, "out": self._out, "err": folder / "err"}
        begin = _begin_from_nothing if from_nothing else fork_simulator
        self.process: Running = begin(flags, **files)
        self.line = self._first_line()
        self.url = self.line.split()[-1]
        self.root = self.url.removesuffix("/api/models/external/v1")
        self.port = int(self.root.rpartition(":")[2])
        self.session = requests.Session()
        self.session.trust_env = False

    def _first_line(self) -> str:
        until = time.monotonic() + TIMEOUT_S
        while not self._printed().endswith("\n"):
            assert self.process.poll() is None, "it ended at its start"
            assert time.monotonic() < until, "it does not say that it is ready"
            time.sleep(LOOK_AGAIN_S)
        return self._printed()

    def _printed(self) -> str:
        return self._out.read_text("utf-8") if self._out.exists() else ""

    def call(self, **body: Any) -> requests.Response:
        """Calls the API with a small picture's request."""
        return self.post({"prompt": "a fox", "seed": 7, **SMALL, **body})

    def post(self, body: Any, **options: Any) -> requests.Response:
        """Calls the API with exactly this body."""
        options = {"timeout": TIMEOUT_S, "allow_redirects": False, **options}
        return self.session.post(self.url, json=body, **options)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Use a control route; return its JSON."""
        answer = self.session.request(method, self.root + path, json=body, timeout=TIMEOUT_S)
        return answer.json()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int | None, str]:
        """Asks it to stop; returns its exit status and what else it printed."""
        self.session.close()
        self.process.send_signal(number)
        status = self.process.wait(TIMEOUT_S)
        return status, self._printed().removeprefix(self.line)


def _begin_from_nothing(
    flags: Sequence[str], *, folder: Path, out: Path, err: Path
) -> subprocess.Popen[bytes]:
    with out.open("wb") as printed, err.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "simulator", *flags],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO)},
            stdout=printed,
            stderr=said,
        )


StartSimulator = Callable[..., RunningSimulator]
"""Starts a simulator with these flags."""


def png_of(answer: requests.Response) -> bytes:
    """The one picture of a success."""
    assert answer.status_code == 200, answer.text[:300]
    (only,) = answer.json()["images"]
    return base64.b64decode(only, validate=True)


def picture_of(answer: requests.Response) -> Image.Image:
    """The same, opened by Pillow."""
    picture = Image.open(io.BytesIO(png_of(answer)))
    picture.load()
    return picture


def as_base64(picture: Image.Image, kind: str = "PNG") -> str:
    """A picture as `init_image` wants it."""
    file = io.BytesIO()
    picture.save(file, kind)
    return base64.b64encode(file.getvalue()).decode()

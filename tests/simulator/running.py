"""A simulator in a process of its own, spoken to as a stranger's client would."""

import base64
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from PIL import Image

REPO = Path(__file__).parents[2]
TIMEOUT_S = 20
SMALL = {"width": 64, "height": 64}


class RunningSimulator:
    """One `python -m simulator` and a session to call it with."""

    def __init__(self, *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator", *flags],
            cwd=REPO,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.url = self.line.split()[-1]
        self.root = self.url.removesuffix("/api/models/external/v1")
        self.port = int(self.root.rpartition(":")[2])
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, **body: Any) -> requests.Response:
        """Calls the API with a small picture's request."""
        return self.post({"prompt": "a fox", "seed": 7, **SMALL, **body})

    def post(self, body: Any, **options: Any) -> requests.Response:
        """Calls the API with exactly this body."""
        options = {"timeout": TIMEOUT_S, "allow_redirects": False, **options}
        return self.session.post(self.url, json=body, **options)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Uses a control door; returns its JSON."""
        answer = self.session.request(method, self.root + path, json=body, timeout=TIMEOUT_S)
        return answer.json()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Asks it to stop; returns its exit status and what else it printed."""
        self.session.close()
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, printed


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

"""`"init_image": "@sketch.png"` in a batch file: the picture that lies beside the file.

Only what is beside it, or below: a batch file from a stranger must not be able to send this
machine's other files to the API. `@` is no letter of base64, so nothing else can be meant.
"""

from pathlib import Path
from typing import Any, Final

import pybase64

__all__ = ["MARK", "ImageFiles", "NotBeside", "follow_mark"]

MARK: Final = "@"


class NotBeside(Exception):
    """Why a name can't be followed."""


class ImageFiles:
    """The files beside a batch file.

    Args:
        folder: where the batch file is.
        max_bytes: the largest file that is read.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder.resolve()
        self._max_bytes = max_bytes

    def base64_of(self, name: str) -> str:
        """The file of this name (without the mark), as base64 text.

        Raises:
            NotBeside: it isn't there, isn't a plain file, is too large, or lies elsewhere.
        """
        try:
            path = self._folder.joinpath(name).resolve(strict=True)
            if name.startswith("/") or not path.is_relative_to(self._folder) or ".." in name:
                raise NotBeside("lies outside the batch file's folder")
            if not path.is_file():
                raise NotBeside("is no file")
            with path.open("rb") as file:
                data = file.read(self._max_bytes + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such name"
            raise NotBeside(f"cannot be read: {reason}") from error
        if len(data) > self._max_bytes:
            raise NotBeside(f"is larger than {self._max_bytes} bytes")
        return pybase64.b64encode_as_string(data)


def follow_mark(request: dict[str, Any], beside: ImageFiles | None) -> None:
    """Put the picture that a request names in the place of its name.

    Raises:
        NotBeside: there is no such file beside the batch, or it is none of its.
    """
    name = request.get("init_image")
    if beside is not None and isinstance(name, str) and name.startswith(MARK):
        request["init_image"] = beside.base64_of(name.removeprefix(MARK))

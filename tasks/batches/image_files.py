"""Read initial images from files that a batch file names: `"init_image": "@sketch.png"`.

Only files in the batch file's folder or below are read. Otherwise a batch file from a third party
could send other files of this machine to the API. Base64 does not contain `@`, so the mark is
unambiguous.
"""

from pathlib import Path
from typing import Any, Final

import pybase64

__all__ = ["MARK", "ImageFileInvalid", "ImageFiles", "follow_mark"]

MARK: Final = "@"


class ImageFileInvalid(Exception):
    """The named file cannot be used; the message is the reason."""


class ImageFiles:
    """Reads the image files in the folder of a batch file.

    Args:
        folder: the folder of the batch file.
        max_bytes: the largest file that is read.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder.resolve()
        self._max_bytes = max_bytes

    def base64_of(self, name: str) -> str:
        """Return the content of a file, named without the mark, as base64 text.

        Raises:
            ImageFileInvalid: the file is missing, not regular, too large, or outside the folder.
        """
        try:
            path = self._folder.joinpath(name).resolve(strict=True)
            if name.startswith("/") or not path.is_relative_to(self._folder) or ".." in name:
                raise ImageFileInvalid("lies outside the batch file's folder")
            if not path.is_file():
                raise ImageFileInvalid("is not a file")
            with path.open("rb") as file:
                data = file.read(self._max_bytes + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such name"
            raise ImageFileInvalid(f"cannot be read: {reason}") from error
        if len(data) > self._max_bytes:
            raise ImageFileInvalid(f"is larger than {self._max_bytes} bytes")
        return pybase64.b64encode_as_string(data)


def follow_mark(request: dict[str, Any], image_files: ImageFiles | None) -> None:
    """Replace a marked file name in a request by the file's content.

    Raises:
        ImageFileInvalid: the file cannot be read, or is outside the batch file's folder.
    """
    name = request.get("init_image")
    if image_files is not None and isinstance(name, str) and name.startswith(MARK):
        request["init_image"] = image_files.base64_of(name.removeprefix(MARK))

"""Write the files that the demo leaves in its folder: pictures, contact sheet, gallery."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from darkroom.atomic_file import write_file
from darkroom.demo.contact_sheet import contact_sheet
from darkroom.demo.gallery import gallery
from darkroom.demo.made import Made, Refused
from darkroom.errors import UserError

__all__ = ["PICTURES", "write_output", "write_pages"]

PICTURES: Final = "pictures"


def write_output(target: Path, data: bytes) -> None:
    """Write a file, and its folder if it is missing.

    Raises:
        UserError: the disk is full or the folder can't be written.
    """
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(target, data)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error


def write_pages(
    folder: Path,
    pictures: Sequence[Made],
    refused: Sequence[Refused],
    *,
    simulated: bool,
    foot: str,
) -> None:
    """Write contact sheet and gallery.

    Args:
        folder: the target; the pictures are in `pictures/` below it.
        pictures: the pictures that were made.
        refused: the prompts that were refused.
        simulated: whether the simulator made them; then every page says so.
        foot: the text at the end of the gallery.

    Raises:
        UserError: the folder can't be written.
    """
    mark = "simulated" if simulated else ""
    line = f"{len(pictures)} prompts in, {len(pictures)} pictures stored, each fetched back and "
    line += "compared by SHA-256"
    sheet = BytesIO()
    contact_sheet(pictures, title="Darkroom", line=line, note=mark).save(sheet, "PNG")
    write_output(folder / "contact-sheet.png", sheet.getvalue())
    page = gallery(
        pictures, refused, title="Darkroom", line=f"{line}.", mark=mark, foot=foot, folder=PICTURES
    )
    write_output(folder / "gallery.html", page.encode())

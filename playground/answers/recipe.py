"""The recipe that rides inside a picture: a `parameters` text chunk, as image tools read it.

It is spliced in behind the header, so the pixels' bytes stay as the API sent them. What the
recipe says is a setting: the job and its seed, everything that was asked, or nothing. A picture
that is signed (Content Credentials) gets none; the job's row has the same facts.
"""

import struct
from typing import Final, Literal

from playground.answers.png import HEADER_END, Png, check_png, chunk
from playground.request.request import ImageRequest

RecipeMode = Literal["id", "full", "off"]

_KEYWORD: Final = b"parameters"

# Names that the AUTOMATIC1111 web UI writes and other tools look for, where it has one.
_LABELS: Final = (
    ("num_inference_steps", "Steps"),
    ("scheduler", "Sampler"),
    ("guidance_scale", "CFG scale"),
    ("seed", "Seed"),
    ("filter_model", "Model"),
    ("strength", "Denoising strength"),
    ("prompt_filter", "Prompt filter"),
    ("expand_prompt", "Expand prompt"),
)


def recipe_text(
    mode: RecipeMode, *, job_id: str, request: ImageRequest, simulated: bool = False
) -> str | None:
    """Write the recipe of one job's picture.

    Args:
        mode: `id` for job and seed, `full` for the prompt and every parameter that was set, `off`
            for nothing.
        job_id: the job's id.
        request: what was sent, seed chosen.
        simulated: whether the picture comes from the simulator; it is then said.

    Returns:
        The text, or None where there is nothing to embed.
    """
    if mode == "off":
        return None
    marks = [f"Darkroom job: {job_id}"] + ["Simulated: yes"] * simulated
    if mode == "id":
        return ", ".join([*_parameters(request, only="seed"), *marks])
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join([*_parameters(request), *_size(request), *marks]))
    return "\n".join(lines)


def embed_recipe(png: Png | bytes, text: str) -> tuple[bytes | memoryview, ...]:
    """Splice a `parameters` text chunk into a PNG, behind its header.

    A PNG with Content Credentials stays as it is: they sign every other byte of the file, so a
    chunk more would invalidate their signature.

    Args:
        png: a whole PNG, checked or as bytes.
        text: any text; NUL characters are left out, because the format has no place for them.

    Returns:
        A whole PNG with the same pixels, in pieces: the pixels are not copied.

    Raises:
        PngDamaged: the bytes are not a whole PNG.
    """
    checked = png if isinstance(png, Png) else check_png(png)
    data = checked.data
    if checked.has_credentials:
        return (data,)
    return data[:HEADER_END] + _text_chunk(text.replace("\0", "")), memoryview(data)[HEADER_END:]


def _text_chunk(text: str) -> bytes:
    """Prefer tEXt, which every reader knows; iTXt for what Latin-1 can't say."""
    try:
        return chunk(b"tEXt", _KEYWORD + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        # Not compressed, method 0, no language, no translated keyword.
        flags = struct.pack(">BBB", 0, 0, 0) + b"\0\0"
        return chunk(b"iTXt", _KEYWORD + flags + text.encode("utf-8", "replace"))


def _parameters(request: ImageRequest, only: str | None = None) -> list[str]:
    pairs = ((label, getattr(request, name)) for name, label in _LABELS if only in (None, name))
    return [f"{label}: {value}" for label, value in pairs if value is not None]


def _size(request: ImageRequest) -> list[str]:
    if request.width is None and request.height is None:
        return []
    return [f"Size: {request.width or 1024}x{request.height or 1024}"]

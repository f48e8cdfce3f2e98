"""Embed the recipe in an image: a `parameters` text chunk, as image tools read it.

The chunk is inserted after the header, so the pixels' bytes stay as the API sent them. A setting
selects the content: the job and its seed, the whole request, or nothing. An image that is signed
(Content Credentials) gets no recipe; the job's row has the same facts.
"""

import struct
from typing import Final, Literal

from playground.answers.png import HEADER_END, Png, check_png, chunk
from playground.request.request import ImageRequest

RecipeMode = Literal["id", "full", "off"]

_KEYWORD: Final = b"parameters"

# Names that the AUTOMATIC1111 web UI writes and other tools look for, if it has one.
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
    """Return the recipe text for one job's image.

    Args:
        mode: `id` for job and seed, `full` for the prompt and every parameter that was set, `off`
            for nothing.
        job_id: the job's id.
        request: what was sent, seed chosen.
        simulated: whether the image comes from the simulator; the recipe then says so.

    Returns:
        The text, or None if there is nothing to embed.
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
    """Insert a `parameters` text chunk into a PNG, after its header.

    A PNG with Content Credentials is returned unchanged. They sign every other byte of the file, so
    an added chunk would invalidate their signature.

    Args:
        png: a whole PNG, checked or as bytes.
        text: any text; NUL characters are left out, because the format does not allow them.

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
    """Return a tEXt chunk, which every reader supports; iTXt for text outside Latin-1."""
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

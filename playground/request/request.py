"""Check one image request against every parameter and rule of the page, before paying.

The model defines which parameters exist and which values each allows. `rules.py` words the faults,
and `wire.py` turns a checked request into the wire form. Rules that the page does not have (a
largest side, a longest prompt) exist only as limits the caller passes in.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from playground.errors import Fault, RequestInvalid
from playground.request import vocabulary as words
from playground.request.init_image import DEFAULT_MAX_INIT_IMAGE_BYTES, bare_base64
from playground.request.rules import RULES, broken, faults_of, shown, unknown_key
from playground.request.strength import strength_text


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What this installation allows beyond, or short of, the page.

    Attributes:
        extra_models: model names that the API introduced after the page was written.
        any_model: accept every model name (rows that were checked when they were accepted).
        max_side_px: largest width or height, or None for the page's int32.
        max_prompt_chars: longest prompt and negative prompt, or None for no limit.
        max_init_image_bytes: largest decoded initial image.
    """

    extra_models: Collection[str] = ()
    any_model: bool = False
    max_side_px: int | None = None
    max_prompt_chars: int | None = None
    max_init_image_bytes: int = DEFAULT_MAX_INIT_IMAGE_BYTES

    @property
    def models(self) -> tuple[str, ...]:
        """Every allowed model name, the page's first."""
        return tuple(dict.fromkeys((*words.MODELS, *self.extra_models)))


_PAGE_ONLY: Final = RequestLimits()


def _limits(info: ValidationInfo) -> RequestLimits:
    return info.context if isinstance(info.context, RequestLimits) else _PAGE_ONLY


def _whole_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL")
    return text


def _filled_text(text: str) -> str:
    if not text or text.isspace():
        raise ValueError("blank")
    return _whole_text(text)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _strength(value: object) -> object:
    return None if value is None else strength_text(value)


def _text_schema(description: str, **more: object) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_Text = Annotated[str, AfterValidator(_whole_text)]
_FilledText = Annotated[str, AfterValidator(_filled_text)]
_Int32 = Annotated[int, Field(ge=words.INT32_MIN, le=words.INT32_MAX)]
_Side = Annotated[int, Field(ge=words.MIN_SIDE_PX, le=words.INT32_MAX)]
_Steps = Annotated[int, Field(ge=words.MIN_STEPS, le=words.MAX_STEPS)]
_Seed = Annotated[int, Field(ge=words.MIN_SEED, le=words.MAX_SEED)]
_ModelName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(words.MODELS)})]
_Strength = Annotated[
    str | None,
    BeforeValidator(_strength),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^(?:\d+\.?\d*|\.\d+)$"},
                {"type": "null"},
            ]
        }
    ),
]


class ImageRequest(BaseModel):
    """One request to the paid API; None is "not set", and not sent.

    Built by `check_request`, which reports all faults together. Field order matters: sizes are
    checked against the model, which comes before them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
    examples: ClassVar[list[dict[str, object]]] = [
        {"prompt": "a lighthouse in a storm, oil on canvas", "width": 1024, "height": 768},
        {"prompt": "a paper fox", "filter_model": "Playground_v2.5", "seed": 4711},
    ]

    prompt: _FilledText = Field(min_length=1, description="The text prompt for the image.")
    negative_prompt: _Text | None = Field(None, description="What is not wanted in the image.")
    filter_model: _ModelName | None = Field(
        None, description=f"The model to use; unset means the latest, {words.LATEST_MODEL}."
    )
    width: _Side | None = Field(
        None,
        description=f"Width in pixels; the API's default is 1024. A multiple of "
        f"{words.V3_SIDE_STEP_PX} with {words.LATEST_MODEL}.",
        examples=[1024],
    )
    height: _Side | None = Field(
        None,
        description=f"Height in pixels; the API's default is 1024. A multiple of "
        f"{words.V3_SIDE_STEP_PX} with {words.LATEST_MODEL}.",
        examples=[1024],
    )
    num_inference_steps: _Steps | None = Field(
        None,
        description="Diffusion steps: detail and quality; the API's default is 50. "
        "The lower bound is Darkroom's own.",
        examples=[50],
    )
    guidance_scale: _Int32 | None = Field(
        None,
        description="How strongly the prompt steers; the API's default is 7.",
        examples=[7],
    )
    scheduler: words.Scheduler | None = Field(
        None, description="The sampler; the API's default is DPMPP_2M_K."
    )
    seed: _Seed | None = Field(
        None,
        description="Makes an image repeatable. Darkroom chooses one when it is unset.",
        examples=[4711],
    )
    init_image: str | None = Field(
        None, description="First image of an img2img request, as base64 text.", repr=False
    )
    strength: _Strength = Field(
        None,
        description="For img2img: 0 gives the initial image back, 1 an entirely new one.",
        examples=["0.6"],
    )
    expand_prompt: bool | None = Field(
        None, description="Let a language model rewrite the prompt; the API's default is false."
    )
    verify_prompt_safety: bool | None = Field(
        None,
        description="Let a model check that the prompt is safe, up to 500 ms more; "
        "the API's default is false.",
    )
    prompt_rejection_topics: (
        Annotated[tuple[_FilledText, ...], BeforeValidator(_as_tuple)] | None
    ) = Field(
        None,
        description=f"Topics that make the API refuse the prompt with {words.PROMPT_UNSAFE}.",
        examples=[["gambling", "brand logos"]],
    )
    prompt_filter: words.PromptFilter | None = Field(
        None, description="A look applied to the prompt; it uses no separate model."
    )

    @field_validator("prompt", "negative_prompt")
    @classmethod
    def _short_enough(cls, text: str | None, info: ValidationInfo) -> str | None:
        bound = _limits(info).max_prompt_chars
        if text is not None and bound is not None and len(text) > bound:
            raise broken(f"at most {bound} characters (it has {len(text)})")
        return text

    @field_validator("filter_model")
    @classmethod
    def _known_model(cls, name: str | None, info: ValidationInfo) -> str | None:
        limits = _limits(info)
        if name is None or name in words.MODELS or name in limits.extra_models:
            return name
        if limits.any_model and name.strip():
            return name
        raise broken(f"one of {', '.join(limits.models)}")

    @field_validator("width", "height")
    @classmethod
    def _side(cls, side_px: int | None, info: ValidationInfo) -> int | None:
        bound = _limits(info).max_side_px
        if side_px is None:
            return None
        if bound is not None and side_px > bound:
            raise broken(f"at most {bound} pixels")
        if "filter_model" in info.data and _off_step(info.data["filter_model"], side_px):
            raise broken(f"a multiple of {words.V3_SIDE_STEP_PX} with {words.LATEST_MODEL}")
        return side_px

    @field_validator("init_image")
    @classmethod
    def _image(cls, text: str | None, info: ValidationInfo) -> str | None:
        return None if text is None else bare_base64(text, _limits(info).max_init_image_bytes)


def _off_step(model: str | None, side_px: int) -> bool:
    """Return whether a side breaks the rule of 32, which the latest model has.

    An unset model is the latest one.
    """
    return (model or words.LATEST_MODEL) == words.LATEST_MODEL and (
        side_px % words.V3_SIDE_STEP_PX != 0
    )


def check_request(raw: object, limits: RequestLimits = _PAGE_ONLY) -> ImageRequest:
    """Check a producer's request against every rule of the page and these limits.

    Args:
        raw: the input, normally a dict made from JSON.
        limits: where this installation's differ from the page's.

    Returns:
        The checked request; the seed is still unset if it was.

    Raises:
        RequestInvalid: with all faults of the request, never only the first.
    """
    if not isinstance(raw, Mapping):
        raise RequestInvalid([Fault("request", shown(raw), "a JSON object of parameters")])
    given = cast("Mapping[object, object]", raw)
    known, faults = dict(given), list[Fault]()
    if not given.keys() <= RULES.keys():
        known = {key: value for key, value in given.items() if key in RULES}
        faults = [unknown_key(key, value) for key, value in given.items() if key not in RULES]
    try:
        request = ImageRequest.model_validate(known, context=limits)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestInvalid([*faults_of(found), *faults]) from None
    if faults:
        raise RequestInvalid(faults)
    return request

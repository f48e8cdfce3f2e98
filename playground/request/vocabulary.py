"""List the words and numbers of the paid API's reference page, and nothing else.

They are separate from the model that uses them, so that a reader can compare this file line by line
with the page (https://docs.playground.com, "Image Generation"). A comment marks whatever is not on
the page.
"""

from typing import Final, Literal, get_args

Model = Literal["Playground_v2.5", "Photorealism", "Playground_v3"]

Scheduler = Literal[
    "DPMPP_2M_K",
    "EULER_A",
    "DDIM",
    "PLMS",
    "EULER",
    "HEUN",
    "DPM2",
    "DPM2_A",
    "LMS",
    "LMS_NIHANTH",
    "DPMPP_2M",
    "DPMPP_2M_LU",
    "DPMPP_2M_SDE",
    "DPMPP_2M_SDE_K",
    "DPMPP_2M_SDE_LU",
    "DPMPP_SDE",
    "DPMPP_SDE_K",
    "LMS_K",
]

PromptFilter = Literal[
    "cartoon",
    "vibrant_glass",
    "dreamy_stickers",
    "ultra_lighting",
    "watercolor",
    "macro_realism",
    "delicate_detail",
    "radiant_symmetry",
    "lush_illustration",
    "saturated_space",
    "neon_mecha",
    "ethereal_low_poly",
    "warm_box",
    "cinematic",
    "cinematic_warm",
    "wasteland",
    "flat_palette",
    "ominous_escape",
    "spielberg",
    "royalistic",
    "masterpiece",
    "wall_art",
    "haze",
    "black_and_white_3d",
    "cinematic_dimensions",
    "futuristic_illumination",
    "photorealistic",
    "cinematic_cold",
    "cute_low_poly_3d",
    "nikon_mode",
    "yellow_fog",
    "moody_impressions",
    "portrait",
    "hypersonic",
    "closeup",
    "old-timey",
]

MODELS: Final[tuple[str, ...]] = get_args(Model)
SCHEDULERS: Final[tuple[str, ...]] = get_args(Scheduler)
PROMPT_FILTERS: Final[tuple[str, ...]] = get_args(PromptFilter)

# "If no value is set, our latest model will be used."
LATEST_MODEL: Final = "Playground_v3"
# "For Playground v3, width and height must be divisible by 32."
V3_SIDE_STEP_PX: Final = 32
# "Maximum 150." The page gives no minimum. Darkroom's is 1, because diffusion needs a step.
MAX_STEPS: Final = 150
MIN_STEPS: Final = 1
# "0 < seed < 2^16"
MIN_SEED: Final = 1
MAX_SEED: Final = 65535
# The page types sizes, steps, scale and seed as int32.
INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
# The page limits no side. Darkroom's minimum is 1, because an image needs pixels.
MIN_SIDE_PX: Final = 1

# The one error code the page names.
PROMPT_UNSAFE: Final = "PROMPT_UNSAFE"

"""The words the reference page allows, copied from its enums and counted there (18 and 36)."""

MODELS = ("Playground_v2.5", "Photorealism", "Playground_v3")
LATEST_MODEL = "Playground_v3"

SCHEDULERS = (
    *("DPMPP_2M_K", "EULER_A", "DDIM", "PLMS", "EULER", "HEUN", "DPM2", "DPM2_A", "LMS"),
    *("LMS_NIHANTH", "DPMPP_2M", "DPMPP_2M_LU", "DPMPP_2M_SDE", "DPMPP_2M_SDE_K"),
    *("DPMPP_2M_SDE_LU", "DPMPP_SDE", "DPMPP_SDE_K", "LMS_K"),
)
DEFAULT_SCHEDULER = "DPMPP_2M_K"

FILTERS = (
    *("cartoon", "vibrant_glass", "dreamy_stickers", "ultra_lighting", "watercolor"),
    *("macro_realism", "delicate_detail", "radiant_symmetry", "lush_illustration"),
    *("saturated_space", "neon_mecha", "ethereal_low_poly", "warm_box", "cinematic"),
    *("cinematic_warm", "wasteland", "flat_palette", "ominous_escape", "spielberg"),
    *("royalistic", "masterpiece", "wall_art", "haze", "black_and_white_3d"),
    *("cinematic_dimensions", "futuristic_illumination", "photorealistic", "cinematic_cold"),
    *("cute_low_poly_3d", "nikon_mode", "yellow_fog", "moody_impressions", "portrait"),
    *("hypersonic", "closeup", "old-timey"),
)

"""Settings of what is written into images and logs."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

__all__ = ["OutputSettings"]


class OutputSettings(BaseSettings):
    """Settings of what is written into images and logs."""

    # Pictures, logs
    embed_recipe: Literal["id", "full", "off"] = Field(
        "id",
        description="What a PNG's `parameters` chunk says: job id and seed, all, or nothing. "
        "A PNG with Content Credentials gets none.",
    )
    simulated: bool = Field(
        default=False,
        description="Marks rows and PNGs as made by the simulator; the local stack sets it.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="Lines for people, or JSON.")

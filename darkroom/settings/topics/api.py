"""Settings of the paid API and of the requests that producers may send to it."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import Bytes, Names, PlainUrl, Seconds

__all__ = ["REAL_API_URL", "ApiSettings"]

REAL_API_URL = "https://playground.com/api/models/external/v1"


class ApiSettings(BaseSettings):
    """Settings of the paid API and of the requests that producers may send to it."""

    # The paid API
    playground_api_key: SecretStr | None = Field(
        None, description="Your key for the image API, sent as a Bearer token."
    )
    playground_url: PlainUrl = Field(REAL_API_URL, description="Where the image API answers.")
    extra_models: Names = Field((), description="Model names newer than the API's page.")
    playground_proxy_url: SecretStr | None = Field(
        None, description="HTTP proxy for calls to the API."
    )
    playground_ca_bundle: Path | None = Field(
        None, description="CA certificates for the API, instead of the usual ones."
    )
    connect_timeout_s: Seconds = Field(5.0, description="Longest wait for a connection to the API.")
    read_timeout_s: Seconds = Field(
        90.0, description="Longest silence of the API while a call is open."
    )
    call_deadline_s: Seconds = Field(120.0, description="Longest a call may take in all.")
    max_answer_bytes: Bytes = Field(
        64_000_000, description="An answer larger than this is not read to its end."
    )

    # What producers may ask for
    max_side_px: int | None = Field(None, ge=1, description="Your own bound on width and height.")
    max_prompt_chars: int | None = Field(
        None, ge=1, description="Your own bound on a prompt's length."
    )
    max_init_image_bytes: Bytes = Field(
        20_000_000, description="Largest `init_image`, decoded, that a producer may submit."
    )

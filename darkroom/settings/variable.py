"""How settings are called in the environment; the one place that knows the prefix."""

__all__ = ["PREFIX", "variable"]

PREFIX = "DARKROOM_"


def variable(field_name: str) -> str:
    """The environment variable of a setting: `s3_bucket` is `DARKROOM_S3_BUCKET`."""
    return PREFIX + field_name.upper()

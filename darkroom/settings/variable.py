"""Name settings in the environment; the prefix is defined only here."""

__all__ = ["PREFIX", "variable"]

PREFIX = "DARKROOM_"


def variable(field_name: str) -> str:
    """Return the environment variable of a setting: `s3_bucket` is `DARKROOM_S3_BUCKET`."""
    return PREFIX + field_name.upper()

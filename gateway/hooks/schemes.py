"""Define the file's form: one model per signature scheme, so that each has its own fields.

Only the form is checked here. `config.py` reads the secrets and checks whether the request follows
its rules.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gateway.hooks.filter import Condition, Scalar
from gateway.hooks.mapping import parse_template
from gateway.hooks.paths import parse_path
from gateway.hooks.signatures import (
    MOST_SECRETS,
    BearerToken,
    BodyHmac,
    Signature,
    StandardWebhooks,
    TimestampedHmac,
)

__all__ = ["FileOfHooks", "WrittenCondition", "WrittenHook"]


def _is_path(text: str) -> str:
    parse_path(text)
    return text


def _is_template(value: Any) -> Any:
    parse_template(value)
    return value


def _is_scalar(value: Any) -> Any:
    if not isinstance(value, (str, bool, int, float)):
        raise PydanticCustomError("scalar", "must be a text, a number, true or false")
    return value


def _in_a_list(value: Any) -> Any:
    """Accept one condition without a list, and make a tuple of a TOML list."""
    return tuple(value) if isinstance(value, list) else (value,)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_HeaderName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"),
    AfterValidator(str.lower),
]
_Template = Annotated[Any, AfterValidator(_is_template)]
_Fields = dict[str, _Template]
_Scalar = Annotated[Any, AfterValidator(_is_scalar)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class WrittenCondition(_Written):
    """`path` and one of `equals`, `in`, `exists`."""

    path: Annotated[str, AfterValidator(_is_path)]
    equals: _Scalar | None = None
    one_of: Annotated[tuple[_Scalar, ...] | None, BeforeValidator(_as_tuple)] = Field(
        None, alias="in", min_length=1
    )
    exists: bool | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "WrittenCondition":
        said = [self.equals, self.one_of, self.exists]
        if sum(one is not None for one in said) != 1:
            raise PydanticCustomError("one_test", "must have exactly one of equals, in, exists")
        return self

    def condition(self) -> Condition:
        """Return the condition in its usable form."""
        one_of: tuple[Scalar, ...] | None = self.one_of
        if self.equals is not None:
            one_of = (self.equals,)
        return Condition(parse_path(self.path), one_of, exists=self.exists is not False)


class WrittenHook(_Written):
    """The fields that every hook has, whatever its scheme."""

    secrets_are_base64: ClassVar[bool] = False

    secrets: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        min_length=1, max_length=MOST_SECRETS
    )
    owner: str = "default"
    key: Annotated[str | None, AfterValidator(_is_template)] = None
    when: Annotated[tuple[WrittenCondition, ...], BeforeValidator(_in_a_list)] = ()
    request: _Fields
    job: _Fields = Field(default_factory=dict)

    def signature(self, keys: tuple[bytes, ...]) -> Signature:
        """Return the scheme with its secrets."""
        raise NotImplementedError


class Standard(WrittenHook):
    """Standard Webhooks."""

    secrets_are_base64: ClassVar[bool] = True

    scheme: Literal["standard"]

    def signature(self, keys: tuple[bytes, ...]) -> Signature:
        """Return the scheme with its secrets."""
        return StandardWebhooks(keys)


class Stripe(WrittenHook):
    """`t=…,v1=…`."""

    scheme: Literal["stripe"]
    header: _HeaderName = "stripe-signature"

    def signature(self, keys: tuple[bytes, ...]) -> Signature:
        """Return the scheme with its secrets."""
        return TimestampedHmac(keys, self.header)


class GitHub(WrittenHook):
    """`X-Hub-Signature-256`."""

    scheme: Literal["github"]

    def signature(self, keys: tuple[bytes, ...]) -> Signature:
        """Return the scheme with its secrets."""
        return BodyHmac(keys, "x-hub-signature-256", prefix="sha256=")


class Hmac(WrittenHook):
    """A header with an HMAC of the body."""

    scheme: Literal["hmac"]
    header: _HeaderName
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = Field("", max_length=50)
    digest: Literal["sha256", "sha512"] = "sha256"

    def signature(self, keys: tuple[bytes, ...]) -> Signature:
        """Return the scheme with its secrets."""
        return BodyHmac(keys, self.header, self.encoding, self.prefix, self.digest)


class Bearer(WrittenHook):
    """A token, in `Authorization` or in a custom header."""

    scheme: Literal["bearer"]
    header: _HeaderName = "authorization"

    def signature(self, keys: tuple[bytes, ...]) -> Signature:
        """Return the scheme with its secrets."""
        return BearerToken(keys, self.header)


AnyHook: TypeAlias = Annotated[
    Standard | Stripe | GitHub | Hmac | Bearer, Field(discriminator="scheme")
]

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class FileOfHooks(_Written):
    """The whole file: `[hooks.NAME]` tables."""

    hooks: dict[_Name, AnyHook] = Field(min_length=1)

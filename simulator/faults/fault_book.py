"""Choose faults on demand: which calls fail, how, and whether they are charged.

A rule is a JSON object: `kind`, optionally when it applies (`rate`, `count`, `prompt`) and how
(`status`, `retry_after`, ...). The first rule that applies wins. This file chooses the fault;
`mishaps.py` carries it out. There are three groups of kinds, by the moment they happen:

    unread  reset_before                                     before the body is read; never charged
    instead status html redirect refusal not_json            instead of the work; not charged,
                                                             except with "charged": true
    work    reset_after reset_midway hang trickle            after the work; charged, except with
            empty_images bad_base64 truncated_png            "charged": false
            flipped_bit oversized empty untidy
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from simulator.errors import ControlRefused
from simulator.faults.untidy import FORMS

__all__ = ["FaultBook", "FaultRule", "Moment", "read_rules"]


class Moment(StrEnum):
    """When in the course of a call a fault happens."""

    UNREAD = "unread"
    INSTEAD = "instead"
    WORK = "work"


KINDS: dict[str, Moment] = {
    "reset_before": Moment.UNREAD,
    "status": Moment.INSTEAD,
    "html": Moment.INSTEAD,
    "redirect": Moment.INSTEAD,
    "refusal": Moment.INSTEAD,
    "not_json": Moment.INSTEAD,
    "reset_after": Moment.WORK,
    "reset_midway": Moment.WORK,
    "hang": Moment.WORK,
    "trickle": Moment.WORK,
    "empty": Moment.WORK,
    "empty_images": Moment.WORK,
    "bad_base64": Moment.WORK,
    "truncated_png": Moment.WORK,
    "flipped_bit": Moment.WORK,
    "oversized": Moment.WORK,
    "untidy": Moment.WORK,
}
STATUSES = {"redirect": 302, "empty": 200}
MAX_OVERSIZE = 512 * 1024 * 1024


@dataclass(slots=True)
class FaultRule:
    """One rule.

    Attributes:
        kind: What happens.
        rate: Share of the matching calls it applies to, 0 to 1.
        count: How often it may apply in all; None is unlimited.
        prompt: Applies only to calls whose prompt contains this.
        charged: Whether the call goes into the ledger; None uses the kind's default.
        after_s: Seconds to wait first, besides the usual latency.
        status: Answer's status, for `status`, `redirect` and `empty`.
        retry_after: The header's value, for `status`.
        location: The target of `redirect`.
        code: The error code in the body of `status`.
        bytes_per_s: The rate of `trickle`.
        size_bytes: The size of the body of `oversized`.
        form: How `untidy` wraps a complete picture; None uses all its forms in turn.
        hits: How often it has applied.
    """

    kind: str
    rate: float = 1.0
    count: int | None = None
    prompt: str | None = None
    charged: bool | None = None
    after_s: float = 0.0
    status: int = 500
    retry_after: str | None = None
    location: str = "http://127.0.0.1:9/elsewhere"
    code: str | None = None
    bytes_per_s: float = 100.0
    size_bytes: int = 64 * 1024 * 1024
    form: str | None = None
    hits: int = 0

    @property
    def moment(self) -> Moment:
        """Return when it happens."""
        return KINDS[self.kind]

    @property
    def costs(self) -> bool:
        """Return whether a valid request hit by this rule is charged."""
        if self.charged is not None:
            return self.charged
        return self.moment is Moment.WORK

    @property
    def spent(self) -> bool:
        """Return whether it has applied as often as it may."""
        return self.count is not None and self.hits >= self.count


ALLOWED_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "rate": (int, float),
    "count": (int, type(None)),
    "prompt": (str, type(None)),
    "charged": (bool, type(None)),
    "after_s": (int, float),
    "status": (int,),
    "retry_after": (str, int, type(None)),
    "location": (str,),
    "code": (str, type(None)),
    "bytes_per_s": (int, float),
    "size_bytes": (int,),
    "form": (str, type(None)),
}
FINAL_STATUSES = range(200, 600)


def _check_types(raw: Mapping[str, Any]) -> None:
    for name, value in raw.items():
        if name not in ALLOWED_TYPES:
            raise ControlRefused(f"a fault rule has no field {name!r}")
        wrong_bool = isinstance(value, bool) and bool not in ALLOWED_TYPES[name]
        if wrong_bool or not isinstance(value, ALLOWED_TYPES[name]):
            raise ControlRefused(f"{name} of a fault rule cannot be {value!r}")


def _read_rule(raw: object) -> FaultRule:
    if not isinstance(raw, dict) or raw.get("kind") not in KINDS:
        raise ControlRefused(f"a fault rule is an object whose kind is one of {', '.join(KINDS)}")
    _check_types(raw)
    rule = FaultRule(**{"status": STATUSES.get(raw["kind"], 500), **raw})
    if rule.retry_after is not None:
        rule.retry_after = str(rule.retry_after)
    sane = (
        0 <= rule.rate <= 1
        and rule.after_s >= 0
        and rule.bytes_per_s > 0
        and rule.status in FINAL_STATUSES
        and 0 < rule.size_bytes <= MAX_OVERSIZE
    )
    if not sane:
        raise ControlRefused("rate is 0-1, status 200-599, seconds and sizes are not negative")
    if rule.form is not None and rule.form not in FORMS:
        raise ControlRefused(f"form is one of {', '.join(FORMS)}")
    if rule.moment is Moment.UNREAD and (rule.prompt is not None or rule.charged):
        raise ControlRefused("reset_before takes no prompt and no charge: the body is not read yet")
    return rule


def read_rules(raw: object) -> list[FaultRule]:
    """Read a JSON list of rules.

    Raises:
        ControlRefused: A rule is invalid; the message says which, and why.
    """
    if not isinstance(raw, list):
        raise ControlRefused("faults are a JSON list of rules")
    return [_read_rule(one) for one in raw]


@dataclass(slots=True)
class FaultBook:
    """The rules in force; used from the event loop's thread alone."""

    rules: list[FaultRule] = field(default_factory=list)
    _dice: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311 -- not a secret

    def strike(self, moment: Moment, prompt: str = "") -> FaultRule | None:
        """Choose the rule that applies to a call at this moment, and count it."""
        for rule in self.rules:
            if rule.moment is not moment or rule.spent:
                continue
            if rule.prompt is not None and rule.prompt not in prompt:
                continue
            if self._dice.random() < rule.rate:
                rule.hits += 1
                return rule
        return None

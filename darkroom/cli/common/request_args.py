"""Turn a request from command-line options into what producers submit.

Rules are not checked here. A text that is not a number stays a text, so that the one check of all
requests lists it with every other fault.
"""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from darkroom.cli.common.formatting import parse_duration_s

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from playground.errors import Fault
    from tasks.submission.intake import Intake

__all__ = ["RequestArgs", "on_end_from"]

_NUMBERS: Final = ("width", "height", "num_inference_steps", "guidance_scale", "seed")
_AS_THEY_ARE: Final = (
    "prompt",
    "negative_prompt",
    "filter_model",
    "scheduler",
    "strength",
    "expand_prompt",
    "verify_prompt_safety",
    "prompt_rejection_topics",
    "prompt_filter",
)
_WHOLE_NUMBER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_SHOWN_CHARS: Final = 80


class RequestArgs:
    """A request and its options, with the faults found while reading them.

    Args:
        given: the values from the command line, by the names of `submit`'s parameters; None is
            unset.
        max_init_image_bytes: a larger file is not read.
    """

    def __init__(self, given: Mapping[str, Any], *, max_init_image_bytes: int) -> None:
        self._faults: list[Fault] = []
        self._init_image: Path | None = given["init_image"]
        request = {name: given[name] for name in _AS_THEY_ARE}
        request |= {name: _number_or_text(given[name]) for name in _NUMBERS}
        request["init_image"] = self._image(given["init_image"], max_init_image_bytes)
        options = {
            "owner": given["owner"],
            "idempotency_key": given["key"],
            "priority": _number_or_text(given["priority"]),
            "metadata": self._json(given["metadata"]),
            "callback_url": given["callback_url"],
            "on_end": on_end_from(given["on_end"]),
            "expires_in_s": self._seconds(given["expires_in"]),
            "reuse": given["reuse"],
        }
        self.request = {name: value for name, value in request.items() if value is not None}
        self.options = {name: value for name, value in options.items() if value is not None}

    def check(self, intake: "Intake") -> None:
        """Check that request and options keep every rule.

        Raises:
            RequestInvalid: with all faults, including those of reading.
        """
        from playground.errors import RequestInvalid

        try:
            intake.check(self.request, self.options)
        except RequestInvalid as error:
            faults = [self._as_given(fault) for fault in error.faults]
            raise RequestInvalid([*faults, *self._faults]) from None
        if self._faults:
            raise RequestInvalid(self._faults)

    def _as_given(self, fault: "Fault") -> "Fault":
        """Read an initial image as a file here, not as base64."""
        if fault.field != "init_image" or self._init_image is None:
            return fault
        from playground.errors import Fault

        return Fault(fault.field, _shown(str(self._init_image)), fault.rule)

    def _image(self, file: Path | None, max_bytes: int) -> str | None:
        if file is None:
            return None
        rule = f"a readable file of at most {max_bytes} bytes"
        try:
            with file.open("rb") as opened:
                data = opened.read(max_bytes + 1)
        except OSError as error:
            self._fault("init_image", str(file), f"{rule} ({error.strerror})")
            return None
        if len(data) > max_bytes:
            self._fault("init_image", str(file), rule)
            return None
        return base64.b64encode(data).decode()

    def _json(self, text: str | None) -> Any:
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            self._fault("metadata", text or "", "a JSON object")
            return None

    def _seconds(self, text: str | None) -> float | None:
        try:
            return None if text is None else parse_duration_s(text)
        except ValueError:
            self._fault("expires_in_s", text or "", "seconds, or 30m, 2h, 7d")
            return None

    def _fault(self, field: str, value: str, rule: str) -> None:
        from playground.errors import Fault

        self._faults.append(Fault(field, _shown(value), rule))


def on_end_from(text: str | None) -> dict[str, str] | None:
    """Parse `QUEUE=TASK` as producers submit it; the check refuses any other form."""
    if text is None:
        return None
    queue, _, task = text.partition("=")
    return {"task": task, "queue": queue}


def _shown(value: str) -> str:
    return repr(value[:_SHOWN_CHARS])[:_SHOWN_CHARS]


def _number_or_text(text: str | None) -> int | str | None:
    """Return a whole number if the text is one; otherwise the text, for the check to refuse."""
    return int(text) if text is not None and _WHOLE_NUMBER.fullmatch(text) else text

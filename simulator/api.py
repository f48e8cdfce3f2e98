"""Serve one call of the API, from its first byte to its last.

This file orders the steps of a call; each step is implemented in its own file (`rules`, `safety`,
`faults`, `latency`, `studio`, `ledger`). A call is charged when its picture is due, even if the
caller has disconnected, as a service would that has done the work.
"""

import asyncio
import hmac
import json
import logging
from dataclasses import dataclass

from simulator.answers import Answer, Receive, Send, error, send
from simulator.errors import BodyTooLarge, ClientGone, PromptUnsafe, RequestBroken
from simulator.faults.fault_book import FaultBook, FaultRule, Moment
from simulator.faults.latency import Latency
from simulator.faults.mishaps import answer_instead, spoil
from simulator.ledger import Ledger
from simulator.request.rules import ImageCall, read_request
from simulator.request.safety import check_prompt
from simulator.studio import Studio
from simulator.wire import Scope, read_body, reset

__all__ = ["Api"]

CLOSE = (("connection", "close"),)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Api:
    """The stand-in for the image API, as an ASGI app for one address."""

    studio: Studio
    ledger: Ledger
    faults: FaultBook
    latency: Latency
    api_key: str | None = None
    in_flight: int = 0
    most_in_flight: int = 0
    requests: int = 0

    async def __call__(self, scope: Scope, receive: Receive, out: Send) -> None:
        """Serve one call, and count it while it lasts."""
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._serve(scope, receive, out)
        except ClientGone:
            logger.debug("The caller hung up while sending its request.")
        # the server is stopping: the connection is cut, as by a deploy
        except asyncio.CancelledError:
            scope["extensions"]["simulator.transport"].abort()
        except Exception:
            logger.exception("A call failed inside the simulator.")
            await send(error(500, "INTERNAL", "The simulator has a bug."), out)
        finally:
            self.in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, out: Send) -> None:
        if self.faults.strike(Moment.UNREAD):
            await reset(scope, receive)
            return
        refusal = self._refuse_early(scope)
        try:
            raw = await read_body(receive)
        except BodyTooLarge as large:
            await send(error(413, "BODY_TOO_LARGE", str(large), headers=CLOSE), out)
            return
        if refusal is not None:
            await send(refusal, out)
            return
        body = _parse(raw)
        rule = self.faults.strike(Moment.INSTEAD, _prompt_of(body))
        if rule is not None:
            await send(await self._answer_before_work(rule, body), out)
            return
        try:
            call = read_request(body)
            await self._check_safety(call)
            await self._work(call, scope, receive, out)
        except RequestBroken as refused:
            await send(_invalid(refused), out)
        except PromptUnsafe as unsafe:
            await send(error(400, "PROMPT_UNSAFE", str(unsafe)), out)

    def _refuse_early(self, scope: Scope) -> Answer | None:
        if scope["method"] != "POST":
            return error(405, "METHOD_NOT_ALLOWED", "Use POST.", headers=(("allow", "POST"),))
        if self.api_key is None:
            return None
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, b"Bearer " + self.api_key.encode()):
            return None
        return error(401, "UNAUTHORIZED", "The API key is missing or wrong.")

    async def _answer_before_work(self, rule: FaultRule, body: object) -> Answer:
        await asyncio.sleep(rule.after_s)
        if rule.costs:
            try:
                call = read_request(body)
            except RequestBroken as refused:  # an invalid request is never charged
                return _invalid(refused)
            self.ledger.charge(call.prompt, call.seed)
        return answer_instead(rule)

    async def _check_safety(self, call: ImageCall) -> None:
        await asyncio.sleep(self.latency.safety_s(call))
        check_prompt(call.prompt, verify=call.verify_prompt_safety, topics=call.rejection_topics)

    async def _work(self, call: ImageCall, scope: Scope, receive: Receive, out: Send) -> None:
        first = await self.studio.first_picture(call)
        rule = self.faults.strike(Moment.WORK, call.prompt)
        loop = asyncio.get_running_loop()
        due = loop.time() + self.latency.work_s(call)
        finished = await self.studio.finish(call, first)
        await asyncio.sleep(max(0.0, due - loop.time()))
        if rule is None or rule.costs:
            self.ledger.charge(call.prompt, call.seed)
        if rule is None:
            await send(finished.answer, out)
        else:
            await spoil(rule, finished, scope, receive, out)


def _parse(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _prompt_of(body: object) -> str:
    prompt = body.get("prompt") if isinstance(body, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _invalid(refused: RequestBroken) -> Answer:
    return error(400, "INVALID_REQUEST", str(refused), broken=refused.broken)

"""What a stop of the gateway does to requests that are still under way."""

import asyncio
import json

from starlette.types import Message, Receive, Scope, Send

from gateway.app import RequestLogMiddleware


def test_a_request_that_a_stop_cuts_off_is_told_to_come_again() -> None:
    """503 and when, never a 500: whatever became of it, it is sent again under its key."""
    sent: list[Message] = []

    async def endless(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    async def hear() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def say(message: Message) -> None:
        sent.append(message)

    async def cut_off() -> None:
        scope = {"type": "http", "method": "POST", "raw_path": b"/v1/jobs", "headers": []}
        request = asyncio.create_task(RequestLogMiddleware(endless)(scope, hear, say))
        await asyncio.sleep(0)
        request.cancel()
        await request

    asyncio.run(cut_off())
    head, body = sent
    assert head["status"] == 503
    assert dict(head["headers"])[b"retry-after"] == b"5"
    assert json.loads(body["body"])["type"] == "urn:darkroom:problem:busy"

"""The routes: the API's one address, and control routes for tests and the demo.

    GET    /healthz   how many calls arrived, wait, and were charged
    GET    /ledger    charged calls by prompt and seed (?prompt= ?contains= ?seed= ?over=)
    DELETE /ledger    delete them
    GET    /faults    the rules in force, with their hits
    PUT    /faults    replace them by a JSON list of rules
    DELETE /faults    drop them
    GET    /latency   how long calls take
    PUT    /latency   {"scale": 0.5} or {"range_s": [1, 3]}

The control routes require no key: the simulator listens on the local machine.
"""

import json
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.api import Api
from simulator.errors import ControlRefused
from simulator.faults.fault_book import read_rules
from simulator.faults.latency import Latency
from simulator.ledger import LedgerFilter

__all__ = ["API_PATH", "build_app"]

API_PATH = "/api/models/external/v1"


class _Control:
    """What the control routes do to the API."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def health(self, _request: Request) -> Response:
        api = self.api
        return JSONResponse(
            {
                "status": "ok",
                "requests": api.requests,
                "in_flight": api.in_flight,
                "most_in_flight": api.most_in_flight,
                "charged": api.ledger.total,
            }
        )

    async def ledger(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.api.ledger.reset()
        return JSONResponse(self.api.ledger.report(_ledger_filter(request)))

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.api.faults.rules = []
        elif request.method == "PUT":
            self.api.faults.rules = read_rules(await _json_of(request))
        return JSONResponse([asdict(rule) for rule in self.api.faults.rules])

    async def latency(self, request: Request) -> Response:
        if request.method == "PUT":
            self.api.latency = _read_latency(await _json_of(request))
        return JSONResponse(self.api.latency.report())


async def _json_of(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise ControlRefused("the body is not JSON") from error


def _ledger_filter(request: Request) -> LedgerFilter:
    params = request.query_params
    try:
        return LedgerFilter(
            prompt=params.get("prompt"),
            contains=params.get("contains"),
            seed=int(params["seed"]) if "seed" in params else None,
            over=int(params.get("over", "0")),
        )
    except ValueError as error:
        raise ControlRefused("seed and over are whole numbers") from error


def _read_latency(raw: object) -> Latency:
    if not isinstance(raw, dict) or not raw.keys() <= {"scale", "range_s"}:
        raise ControlRefused('latency is {"scale": number} or {"range_s": [low, high]}')
    try:
        low_high = raw.get("range_s")
        range_s = None if low_high is None else (float(low_high[0]), float(low_high[1]))
        return Latency(float(raw.get("scale", 1.0)), range_s)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ControlRefused("latency values are numbers") from error


async def _refuse_control(_request: Request, error: Exception) -> Response:
    return JSONResponse({"code": "CONTROL_REFUSED", "message": str(error)}, 400)


async def _refuse_address(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"code": f"HTTP_{status}", "message": str(error)}, status)


def build_app(api: Api) -> Starlette:
    """Combine the API and its control routes.

    Args:
        api: The API with its studio, ledger, faults and latency.

    Returns:
        The ASGI app.
    """
    control = _Control(api)
    app = Starlette(
        routes=[
            Route(API_PATH, api),
            Route("/healthz", control.health, methods=["GET"]),
            Route("/ledger", control.ledger, methods=["GET", "DELETE"]),
            Route("/faults", control.faults, methods=["GET", "PUT", "DELETE"]),
            Route("/latency", control.latency, methods=["GET", "PUT"]),
        ],
        exception_handlers={ControlRefused: _refuse_control, HTTPException: _refuse_address},
    )
    app.router.redirect_slashes = False
    return app

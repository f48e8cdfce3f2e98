"""Jobs over HTTP, for backends in other languages: this room speaks HTTP, and decides nothing.

What a job is, when it is valid and what becomes of it is in `tasks` and `storage`; here requests
are read with bounds, callers are told apart, and answers and faults get their HTTP form.
"""

from gateway.app import make_gateway
from gateway.caller import Authenticate, Caller, Scope, anyone, caller_with
from gateway.errors import GatewayError
from gateway.keys import KeyHolders
from gateway.limits import OwnerLimits
from gateway.loopback import is_loopback
from gateway.rates import Rates
from gateway.server import Server, listen, raise_file_limit
from gateway.services import GatewayLimits, Services
from gateway.watch import Watch

__all__ = [
    "Authenticate",
    "Caller",
    "GatewayError",
    "GatewayLimits",
    "KeyHolders",
    "OwnerLimits",
    "Rates",
    "Scope",
    "Server",
    "Services",
    "Watch",
    "anyone",
    "caller_with",
    "is_loopback",
    "listen",
    "make_gateway",
    "raise_file_limit",
]

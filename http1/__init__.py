"""Exchange one HTTP/1.1 request and response over an open connection, on a fast path.

urllib3 opens connections, keeps them, and handles proxies, TLS and every kind of response. It also
repeats for each exchange what is needed once per connection, and parses the few header lines of a
response with a parser for e-mail. This package reads and writes only the usual exchange, directly
as bytes. Everything unusual is passed to urllib3 unchanged.
"""

from http1.exchange import exchange
from http1.final_response import FinalResponse, with_final_responses
from http1.request import host_header, send_request

__all__ = [
    "FinalResponse",
    "exchange",
    "host_header",
    "send_request",
    "with_final_responses",
]

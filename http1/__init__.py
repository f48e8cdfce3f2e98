"""Exchange one HTTP/1.1 request and response over an open connection, on a fast path.

urllib3 opens connections, keeps them, and handles proxies, TLS and every kind of response. It also
repeats for each exchange what is needed once per connection, and parses the few header lines of a
response with a parser for e-mail. This package reads and writes only the usual exchange, directly
as bytes.

Gain: in an earlier run, a worker without this package used 1.23 times the CPU per image.
`python -m benchmarks --only paths` measures it again; docs/performance.md has the conditions.

Fallback: urllib3. Its `urlopen` makes the whole exchange if no connection is open yet, or a proxy
needs more than the host. It reads any response that is not a 200 of stated length, without coding,
on a connection that stays open; it gets the head read here and the bytes after it.

The private attributes of urllib3 and `http.client` in use are in `private_attributes.py`.
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

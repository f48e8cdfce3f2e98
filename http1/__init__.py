"""One HTTP/1.1 exchange over a connection that is open already, by the short way.

urllib3 opens connections, keeps them, and knows proxies, TLS and every kind of answer. It also does
for each exchange what is needed once for a connection, and has the few lines before an answer read
by a parser for e-mail. Here the usual exchange, and only that, is written and read as the bytes it
is; whatever is unusual is urllib3's, as it came.
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

"""Check whether a local server answers HTTP yet."""

import http.client

from darkroom.stack.ports import LOOPBACK

_TIMEOUT_S = 1.0


def answers_http(port: int, path: str) -> bool:
    """Return whether any HTTP response comes back, even an error.

    Raises:
        OSError: Nothing listens, or no answer came.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        connection.getresponse()
    except http.client.HTTPException:
        return False
    finally:
        connection.close()
    return True

"""Define the response class of Darkroom's connections: `http.client`'s with another head reader.

`http.client` treats every interim response but 100 as the final one, and refuses a head of more
than 100 lines. urllib3 and botocore get their heads from it. A connection class with this
`response_class` does neither; no library is patched.
"""

import http.client
import io
from email.parser import Parser
from http import HTTPStatus
from typing import Any, ClassVar, Final

from http1.head import read_final_head

__all__ = ["FinalResponse", "with_final_responses"]

# The headers from which `http.client` derives where the body ends, and whether the connection stays
# open.
_FRAMING: Final = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding")
)


class FinalResponse(http.client.HTTPResponse):
    """A final response, whatever interim responses came before it.

    Args:
        sock: The connection's.
        debuglevel: `http.client`'s.
        method: Of the request.
        url: `http.client`'s.
        head: The part of the response read already, up to the beginning of its body.

    Attributes:
        renews_timeout: Whether the socket's timeout restarts with each piece of a head. If False,
            it limits all heads together, so that interim responses cannot hold a thread.
    """

    renews_timeout: ClassVar[bool] = False

    def __init__(
        self,
        sock: Any,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        head: bytes | None = None,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._head = head
        self._sock = sock
        self._stream: Any = self.fp
        self._all_headers = http.client.HTTPMessage()

    def begin(self, *args: Any, **kwargs: Any) -> None:
        """Read the head.

        Raises:
            HTTPException: It is invalid, or not the head of a final response.
            OSError: A network error.
        """
        super().begin(*args, **kwargs)
        self.headers = self.msg = self._all_headers
        self.fp = self._stream

    def _read_status(self) -> tuple[str, int, str]:
        """Read the head, and leave `http.client` the lines that it needs.

        A tunnel through a proxy calls only this method.
        """
        if self._head is None:
            self._head = read_final_head(
                self._stream, self._sock, renews_timeout=self.renews_timeout
            )
        line, _, lines = self._head.partition(b"\n")
        self._all_headers = Parser(_class=http.client.HTTPMessage).parsestr(lines.decode("latin-1"))
        framing = "".join(
            f"{name}: {value}\r\n"
            for name, value in self._all_headers.items()
            if name.lower() in _FRAMING
        )
        self.fp = io.BytesIO(b"%b\n%b\r\n" % (line, framing.encode("latin-1")))  # type: ignore[assignment]  # all that is asked of it is there
        found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # no stub has it
        if found[1] < HTTPStatus.OK:  # written so that only `http.client` parses the number
            raise http.client.BadStatusLine(line.decode("latin-1"))
        return found

    def _close_conn(self) -> None:
        super()._close_conn()  # type: ignore[misc]  # no stub has it
        self._stream.close()


def with_final_responses(pool_class: Any) -> Any:
    """Return a subclass of a urllib3 pool class whose connections have final responses only."""
    connection_class = type(
        pool_class.ConnectionCls.__name__,
        (pool_class.ConnectionCls,),
        {"response_class": FinalResponse},
    )
    return type(pool_class.__name__, (pool_class,), {"ConnectionCls": connection_class})

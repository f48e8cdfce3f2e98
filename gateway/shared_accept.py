"""Accept connections from a socket that several processes share, so that each gets its part.

The kernel wakes all processes that wait for a connection, and the one that happens to be first
takes it. Of 64 connections that were opened together, one of two processes took 53. So each process
notes how many connections it has in memory that all of them map. One that has more than another
leaves a connection to it for a moment.
"""

import asyncio
import logging
import mmap
import socket
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Final

__all__ = ["Acceptor", "ConnectionCounts"]

log = logging.getLogger(__name__)

#: Connections that a process may have more than another and still take the next one at once.
AHEAD: Final = 1

#: Seconds for which a process with more connections leaves the next one to others. An idle process
#: takes it in less than one millisecond.
LEAVE_S: Final = 0.005

#: Seconds for which nothing is accepted after the machine had no descriptor or memory for it.
REST_S: Final = 1.0

#: The count of a process that does not serve.
ABSENT: Final = 0xFFFF_FFFF


class ConnectionCounts:
    """The numbers of connections of all processes.

    Args:
        file: its descriptor is inherited by every process.
    """

    def __init__(self, file: IO[bytes] | int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        self._counts = memoryview(mmap.mmap(descriptor, 0)).cast("I")

    @staticmethod
    def file(processes: int) -> IO[bytes]:
        """Create the file, in which no process serves yet; it has no name."""
        file = tempfile.TemporaryFile(prefix="darkroom-gateway-")  # noqa: SIM115 - the caller's
        file.write(ABSENT.to_bytes(4, "little") * processes)
        file.flush()
        return file

    def note(self, place: int, connections: int) -> None:
        """Note how many connections a process has."""
        self._counts[place] = connections

    def note_absent(self, place: int) -> None:
        """Note that a process does not serve."""
        self._counts[place] = ABSENT

    def fewest(self) -> int:
        """Return the number of the process that has the fewest."""
        return min(self._counts)


class Acceptor:
    """Accept for one process. Used from one event loop.

    Args:
        listener: the shared socket.
        counts: the numbers of all processes.
        place: the number of this process among them.
        connect: has a new connection served.
        open_connections: returns how many connections are served now.
    """

    def __init__(
        self,
        listener: socket.socket,
        counts: ConnectionCounts,
        place: int,
        *,
        connect: Callable[[socket.socket], Awaitable[object]],
        open_connections: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._counts = counts
        self._place = place
        self._connect = connect
        self._open_connections = open_connections
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.settimeout(0)
        self.note_count()
        self._loop.add_reader(listener, self._take_or_leave)

    def note_count(self) -> int:
        """Note how many connections this process has; return it."""
        mine = self._open_connections() + len(self._connecting)
        self._counts.note(self._place, mine)
        return mine

    def close(self) -> None:
        """Accept no more, and leave the rest to the other processes."""
        self._counts.note_absent(self._place)
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _take_or_leave(self) -> None:
        if self.note_count() > self._counts.fewest() + AHEAD:
            self._rest(LEAVE_S)
        else:
            self._take()

    def _rest(self, for_s: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(for_s, self._go_on)

    def _go_on(self) -> None:
        """Take what no other process has taken meanwhile."""
        self._loop.add_reader(self._listener, self._take_or_leave)
        self._take()

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was first, or the client has left
        except OSError as error:
            log.warning("no connection can be accepted: %s", error.strerror)
            self._rest(REST_S)
            return
        connection.settimeout(0)
        task = self._loop.create_task(self._serve(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        self.note_count()

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._connect(connection)
        except OSError:
            connection.close()

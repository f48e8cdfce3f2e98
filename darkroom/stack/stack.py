"""Start what has to be started, keep it running, and leave nothing behind.

Services start in parallel; workers and the gateway start when all services answer. A thread then
watches every child. Stopping is in reverse order: workers and gateway first, with time for their
calls, then the services.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Self

from darkroom.stack.data.disk import Disk
from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.programs.gateway import gateway
from darkroom.stack.programs.workers import workers
from darkroom.stack.services import Composition, Service, child_environment, compose
from darkroom.stack.supervision.process import Child, Program
from darkroom.stack.supervision.stop import Stop
from tasks.background import BackgroundLoop, OnError

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1
_FAULT_REST_S = 5.0


class LocalStack:
    """The whole system on one machine, between `__enter__` and `__exit__`.

    Args:
        plan: What to start and what to use.
        stop: Set by signals or by the caller to end the stack; if set twice, workers get no time to
            drain.
        prepare: Called with the variables while services start and before any worker or gateway.
            Migrate the database here.
        echo: Gets a line for a person when a child died or was started again.

    Attributes:
        variables: The settings (and AWS keys) that this stack selected, as environment variables.
        environment: The whole environment of its workers and its gateway.
        services: Every part of the system, and whether it was started or is used.
    """

    def __init__(
        self,
        plan: StackPlan,
        *,
        stop: Stop | None = None,
        prepare: Callable[[Mapping[str, str]], None] | None = None,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self.plan = plan
        self.stop = stop if stop is not None else Stop()
        self.variables: Mapping[str, str] = {}
        self.environment: Mapping[str, str] = {}
        self.services: tuple[Service, ...] = ()
        self._prepare = prepare
        self._echo = echo
        self._folder: DataFolder | None = None
        self._service_children: list[Child] = []
        self._our_children: list[Child] = []
        self._disk = Disk(plan.data_dir)
        self._watcher = BackgroundLoop(
            "darkroom-stack",
            self._look,
            every_s=_LOOK_EVERY_S,
            on_error=OnError(log, "checking the child processes failed", rest_s=_FAULT_REST_S),
        )

    def __enter__(self) -> Self:
        """Start everything; if a later step fails, stop what was started.

        Raises:
            UserError: One line that names the obstacle and what to do.
            KeyboardInterrupt: Asked to stop while starting.
        """
        try:
            self._start()
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pids(self) -> dict[str, int]:
        """Return the process ids of the running children, by name."""
        return {child.program.name: child.pid for child in self._children if child.pid is not None}

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until `stop` is set; return whether it was."""
        return self.stop.requested.wait(timeout_s)

    def close(self) -> None:
        """End workers (drained, unless hurried) and gateway, then services; unlock the folder."""
        try:
            self._watcher.stop()
            self._end(self._our_children)
            for child in reversed(self._service_children):
                self._end([child])
        finally:  # if a Ctrl-C raises here, nothing may stay behind either
            self._abandon()

    @property
    def _children(self) -> list[Child]:
        return [*self._service_children, *self._our_children]

    def _abandon(self) -> None:
        for child in reversed(self._children):
            child.kill()
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _start(self) -> None:
        self.plan.check()
        self._folder = DataFolder(self.plan.data_dir)
        made = compose(self.plan, self._folder)
        self.services = tuple(made.services)
        self.variables = made.variables
        self.environment = child_environment(self.plan, made.variables)
        self._launch(made.programs, self._service_children)
        if self._prepare is not None:
            self._prepare(self.variables)
        for child in self._service_children:
            child.wait_ready(self.stop.requested)
        self._launch(self._programs(made, self._folder), self._our_children)
        for child in self._our_children:
            if child.program.answers is not None:
                child.wait_ready(self.stop.requested)
        self._watcher.start()

    def _programs(self, made: Composition, folder: DataFolder) -> list[Program]:
        programs = workers(self.plan, folder, self.environment)
        if self.plan.with_gateway:
            port = made.ports["gateway"]
            programs.append(gateway(self.plan, folder, port, self.environment))
        return programs

    @staticmethod
    def _launch(programs: list[Program], children: list[Child]) -> None:
        for program in programs:
            child = Child(program)
            children.append(child)
            child.start()

    def _look(self) -> None:
        """Report a disk that fills up, and restart children that died."""
        if (line := self._disk.look()) is not None:
            self._report("disk", line)
        for child in self._children:
            line = child.look()
            if line is not None:
                self._report(child.program.name, line)

    def _report(self, name: str, line: str) -> None:
        log.warning("%s", line, extra={"child": name})
        if self._echo is None:
            return
        try:
            self._echo(line)
        except Exception:  # for example a closed terminal: watching must go on
            log.exception("could not print: %s", line)

    def _end(self, children: list[Child]) -> None:
        for child in children:
            child.terminate()
        for child in children:
            child.wait_ended(self.stop.hurried)

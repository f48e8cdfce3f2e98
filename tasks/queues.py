"""The names other codebases rely on: tasks and queues.

A producer that has nothing of ours installed sends `darkroom.submit` by name to the queue below,
so these words are a public contract and change only with a new name beside the old one.
"""

from dataclasses import dataclass

__all__ = ["GENERATE", "SUBMIT", "Queues"]

#: The dispatch: ids of jobs that are due, and nothing else.
GENERATE = "darkroom.generate"

#: Hands in one job; the Celery task id becomes the job id.
SUBMIT = "darkroom.submit"


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of one fleet, told apart from others on the same broker by its namespace."""

    namespace: str

    @property
    def generate(self) -> str:
        """Where dispatches wait."""
        return f"{self.namespace}.generate"

    @property
    def submit(self) -> str:
        """Where handed-in jobs wait until they are rows."""
        return f"{self.namespace}.submit"

"""Define the public names of tasks and queues.

A producer that has no Darkroom package installed sends `darkroom.submit` by name to the queue
below. So these names are a public contract: a new name is added beside the old one.
"""

from dataclasses import dataclass

__all__ = ["GENERATE", "SUBMIT", "Queues"]

#: The dispatch message: ids of jobs that are due, and nothing else.
GENERATE = "darkroom.generate"

#: Submits one job; the Celery task id becomes the job id.
SUBMIT = "darkroom.submit"


@dataclass(frozen=True, slots=True)
class Queues:
    """Names the queues of one fleet; the namespace separates fleets on the same broker."""

    namespace: str

    @property
    def generate(self) -> str:
        """Return the queue in which dispatches wait."""
        return f"{self.namespace}.generate"

    @property
    def submit(self) -> str:
        """Return the queue in which submitted jobs wait until they are rows."""
        return f"{self.namespace}.submit"

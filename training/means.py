"""What work may use: so much memory, or so many machines."""

from __future__ import annotations

from dataclasses import dataclass

from data.errors import UsageError

LOCAL = "local"


@dataclass(frozen=True)
class Means:
    """What a build may use.

    Attributes:
        memory_limit: Most bytes that the process may come to hold; none leaves everything in memory.
        cluster: Address of a Dask scheduler, or `local` for two workers on this machine; none builds in this process.
    """

    memory_limit: int | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        """Refuse both at once: the workers of a cluster have limits of their own."""
        if self.memory_limit is not None and self.cluster is not None:
            raise UsageError("found a memory limit and a cluster, expected one of them: workers know their own limits")


def address_of(cluster: str) -> str | None:
    """A scheduler's address as the cluster modules take it: none for two workers on this machine.

    >>> address_of("local"), address_of("tcp://10.0.0.1:8786")
    (None, 'tcp://10.0.0.1:8786')
    """
    return None if cluster == LOCAL else cluster

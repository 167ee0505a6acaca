"""One retraining of a task at a time: a lock that its process holds, and that is gone with the process."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from data.errors import DependencyDown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK: Final = "lock"
_ASKED_AGAIN_AFTER_SECONDS = 0.2


@contextmanager
def held(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Keep the folder of a task's retraining to oneself; whoever comes meanwhile is told who has it.

    Args:
        folder: `home/retrain/TASK`, made where it is not there.
        wait: Seconds to wait for another to end.

    Raises:
        DependencyDown: Another still has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, folder, time.monotonic() + wait)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} of {socket.gethostname()} since {_now()}\n".encode(), 0)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closed here, it may still be open in a process that was forked
        os.close(descriptor)


def _acquire(descriptor: int, folder: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise _taken(descriptor, folder) from None
            time.sleep(_ASKED_AGAIN_AFTER_SECONDS)
        else:
            return


def _taken(descriptor: int, folder: Path) -> DependencyDown:
    holder = os.pread(descriptor, 1_000, 0).decode(errors="replace").strip() or "a process that just began"
    return DependencyDown(
        f"retraining of {folder.name}: found it being done by {holder}, expected nobody; let it end and call again, or "
        "wait for it with --wait SECONDS. Nothing was changed."
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

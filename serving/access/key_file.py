"""The file of keys: changed in one step by `shepherd keys`, and read again by a running service when it changed."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from data.errors import DataError, UsageError
from serving.access.keys import Key, Keys, encode_keys, new_key, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

LOOK_EVERY: Final = 1.0
"""Seconds after which a service looks whether the file has changed: so long a removed key still opens."""

_logger = logging.getLogger("serving")


class KeyFile:
    """The keys of a running service; a removed key is out within a second, without a restart.

    A file that is broken or gone later on changes nothing and is logged: the service must never fall open.

    Args:
        path: The file; None, or a path where nothing is, for a service without keys.
        clock: Seconds that never run backwards.

    Raises:
        DataError: The file is there and cannot be used.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._stamp = _stamp(path)
        self._keys = None if path is None or self._stamp is None else Keys.read(path, clock)
        self._looked = clock()

    def current(self) -> Keys | None:
        """The keys as they stand now; None where there never was a file."""
        now = self._clock()
        if self._path is not None and now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._look(self._path)
        return self._keys

    def _look(self, path: Path) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            keys = Keys.read(path, self._clock)
        except DataError as error:
            _logger.error("the keys stay as they were: %s", error)  # noqa: TRY400 - the message says all
            return
        if self._keys is not None:
            keys.go_on_from(self._keys)
        self._keys = keys


def add(
    path: Path,
    name: str,
    scopes: Sequence[str],
    rate: float,
    burst: int | None = None,
    until: datetime | None = None,
) -> str:
    """Add a key to a file, which is made if it is not there; it ends at `until`, or never.

    Returns:
        The key: nobody can read it again.

    Raises:
        UsageError: The name is taken, or something is not as it should be.
        DataError: The file cannot be used as it is.
    """
    key, drawn = new_key(name, scopes, rate, burst, until)
    with _alone(path) as listed:
        if name in {one.name for one in listed}:
            raise UsageError(f"Key {name}: found one of this name, expected a new name; remove the old one first.")
        _replace(path, (*listed, key))
    return drawn


def remove(path: Path, name: str) -> None:
    """Remove a key from a file; the file stays, even without any key, so that the service does not fall open.

    Raises:
        UsageError: There is no key of this name.
        DataError: The file cannot be used as it is.
    """
    with _alone(path) as listed:
        kept = tuple(key for key in listed if key.name != name)
        if len(kept) == len(listed):
            names = ", ".join(key.name for key in listed) or "none"
            raise UsageError(f"Key {name}: found no key of this name, expected one of: {names}.")
        _replace(path, kept)


def listed(path: Path) -> tuple[Key, ...]:
    """The keys of a file in their order, without the keys themselves; none where there is no file.

    Raises:
        DataError: The file cannot be used as it is.
    """
    return read_keys(path) if path.exists() else ()


@contextmanager
def _alone(path: Path) -> Iterator[tuple[Key, ...]]:
    """What stands in the file, while nobody else changes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield listed(path)
    finally:
        os.close(folder)


def _replace(path: Path, keys: Sequence[Key]) -> None:
    Keys(keys)
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode_keys(keys))
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    finally:
        Path(aside).unlink(missing_ok=True)


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    """Changes whenever the file does, its rights included: each write makes a new file."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_ctime_ns, found.st_mode, found.st_uid

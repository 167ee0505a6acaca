"""The thread that commits: what has gathered goes to the disk at once, and only then is it acknowledged."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from data.errors import UsageError
from serving.ledger.ledger import Place
from serving.ledger.tidying import Tidying

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.ledger.ledger import Entry, Ledger

GATHER: Final = 100
"""So many entries are committed without waiting for more."""
GATHER_SECONDS: Final = 0.002
MOST_WAITING: Final = 10_000

_LARGEST_COMMIT: Final = 1_000
_IDLE_SECONDS: Final = 0.2
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_logger = logging.getLogger("serving")


class Full(Exception):
    """So many entries wait for the disk that no further one is taken; nothing of this one was kept."""


class Writer:
    """Commits the entries of a ledger in the order in which they are submitted.

    A commit that fails is tried again with the same entries first, for as long as it takes: they are in the state
    already, and the log must not leave them out.

    Attributes:
        seconds: How long the latest commit took.
        commits: How many there were.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        gather_seconds: float = GATHER_SECONDS,
        most_waiting: int = MOST_WAITING,
        committed: Callable[[int, float], None] | None = None,
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Starts the thread.

        Args:
            ledger: Which this process has open for writing.
            gather_seconds: How long the first entry of a commit may wait for others.
            most_waiting: How many entries may wait.
            committed: Told of every commit, in the writer's thread: how many entries, and how many seconds it took.
            failed: Told of every commit that fails, in that thread too.
        """
        self._ledger = ledger
        self._gather_seconds = gather_seconds
        self._most_waiting = most_waiting
        self._committed, self._failed = committed, failed
        self._waiting: deque[tuple[Entry, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._failing: str | None = None
        self._place = ledger.last
        self.seconds = 0.0
        self.commits = 0
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        self._tidying = Tidying(ledger, self._turn)

    @property
    def depth(self) -> int:
        """How many entries wait for their commit."""
        return len(self._waiting)

    @property
    def failing(self) -> str | None:
        """Why commits fail at present; None while they succeed."""
        if not self._thread.is_alive() and not self._stopping:
            return "the writer's thread has ended; restart the service"
        return self._failing

    def submit(self, entry: Entry, done: Callable[[], None]) -> None:
        """Hands an entry over; `done` is called in the writer's thread once a commit holds it.

        Raises:
            Full: Too many wait already.
            UsageError: It is not after the entry before it, or the writer was stopped.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Full(f"{len(self._waiting)} entries wait for the disk")
        if self._stopping or entry.sequence <= self._place.sequence or entry.seen_at <= self._place.seen_at:
            self._refuse(entry)
        self._place = Place(entry.sequence, entry.seen_at)
        self._ledger.queue(entry)
        self._waiting.append((entry, done))
        if len(self._waiting) in {1, GATHER}:
            with self._changed:
                self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Waits until all that was submitted is committed; answers whether it was, in so many seconds."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(min(self._gather_seconds, 0.005) or 0.001)
        return not self._waiting

    def stop(self, seconds: float = 5.0) -> bool:
        """Drains, and ends the thread; answers whether all was committed. What was not is acknowledged to nobody."""
        drained = self.drain(seconds)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(seconds)
        self._tidying.stop(seconds)
        return drained

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._gathered():
            if not self._waiting:
                self._look()
                continue
            # By place, since entries are added meanwhile, which breaks a loop over the queue.
            batch = [self._waiting[place] for place in range(min(len(self._waiting), _LARGEST_COMMIT))]
            began = time.perf_counter()
            try:
                with self._turn:
                    self._ledger.commit([entry for entry, _ in batch])
            except Exception as error:  # whatever it is: the entries stay, and nothing after them is acknowledged
                if self._failing is None:
                    _logger.exception("the log cannot be written")
                self._failing = str(error) or type(error).__name__
                if self._failed is not None:
                    self._failed()
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            self._succeed(batch, time.perf_counter() - began)

    def _gathered(self) -> bool:
        """Waits for entries, and a moment for more; answers whether to go on. True without entries now and then."""
        with self._changed:
            if not self._waiting:
                self._changed.wait_for(lambda: self._waiting or self._stopping, _IDLE_SECONDS)
            if self._waiting and self._failing is None:
                self._changed.wait_for(lambda: len(self._waiting) >= GATHER or self._stopping, self._gather_seconds)
            return not self._stopping

    def _look(self) -> None:
        """A key that another process deleted must not stay in memory because nothing happens here."""
        try:
            self._ledger.notice()
        except sqlite3.Error as error:
            self._failing = str(error)
        else:
            self._failing = None

    def _succeed(self, batch: list[tuple[Entry, Callable[[], None]]], seconds: float) -> None:
        if self._failing is not None:
            _logger.warning("the log is written again; it failed with: %s", self._failing)
        self._failing = None
        self.seconds, self.commits = seconds, self.commits + 1
        for _ in batch:
            self._waiting.popleft()
        for _, done in batch:
            try:
                done()
            except Exception:  # one who does not listen any more must not keep the log from others
                _logger.exception("who was to be told of a commit could not be told")
        if self._committed is not None:
            self._committed(len(batch), seconds)

    def _refuse(self, entry: Entry) -> None:
        if self._stopping:
            raise UsageError("the writer of the ledger was stopped; nothing more can be acknowledged")
        raise UsageError(
            f"an entry at place {entry.sequence}, instant {entry.seen_at}: expected both above {self._place}, because "
            "there is one order; give each entry the place that follows"
        )

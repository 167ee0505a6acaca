"""The connection to Redis or Valkey: every call ends within its patience, and none is sent twice by itself."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from data.errors import DataError
from serving.ledger.entry import Place
from serving.stream.script import (
    ABOUT,
    ALIASES,
    FORGET,
    IDS,
    KEPT,
    KEYS,
    NAMES,
    ORDER,
    RECORDS,
    REPORT,
    STREAM,
    TRIM,
    TURN,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.ledger.vault import KeyRow

PATIENCE: Final = 0.5
"""Seconds that a call may take; after them Redis counts as away."""
SILENCE_SECONDS: Final = 7 * 86_400
"""A scorer that says nothing for so long is taken for gone: the stream's beginning does not wait for it."""
FORMAT: Final = b"1"
AWAY: Final = (RedisError, OSError, TimeoutError)
"""What is raised where Redis is not there, too slow, or refuses."""

_MARK, _DIGEST = 24, 16
_logger = logging.getLogger("serving")


class Draft(NamedTuple):
    """An entry that has no place yet.

    Attributes:
        log: What it is to whoever sent it.
        identity: `Vault.identity` of its log and id.
        digest: `Vault.digest` of its content.
        owner: Whose it is, masked, 8 bytes.
        payload: What every scorer takes in of it, sealed under the deployment's key.
        request: What is to be judged, sealed under its member's key; empty where nothing is.
        record: What is kept of it where that is known before it has a place, sealed likewise; else empty.
        keys: The keys of the members that it names, and whether each was drawn just now.
    """

    log: str
    identity: bytes
    digest: bytes
    owner: bytes
    payload: bytes
    request: bytes
    record: bytes
    keys: tuple[tuple[KeyRow, bool], ...]


class Passed(NamedTuple):
    """An entry of the stream."""

    place: Place
    scorer: bytes
    log: str
    identity: bytes
    digest: bytes
    owner: bytes
    payload: bytes
    request: bytes


class Known(NamedTuple):
    """What Redis knows of an id: digest of the content, masked owner, sequence."""

    digest: bytes
    owner: bytes
    sequence: int


class Turn(NamedTuple):
    """What came of a turn.

    Attributes:
        end: The last sequence before what was appended.
        missed: Entries that the scorer did not have, the first of them in order.
        results: For each group and entry what `serving.stream.script` says.
    """

    end: int
    missed: list[Passed]
    results: list[list[list[bytes]]]


class Link:
    """One scorer's way to the stream.

    Args:
        url: Such as `redis://HOST:PORT/DB`, or `unix://PATH?db=DB`.
        scorer: The name of this scorer.
        patience: Seconds that a call may take.
    """

    def __init__(self, url: str, scorer: bytes, patience: float = PATIENCE) -> None:
        self.scorer = scorer
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),  # a turn that was not answered may have been taken, and must not be repeated
            protocol=2,
        )
        self._turn = ""

    async def greet(self, fingerprint: bytes, applied: Place) -> None:
        """Sees that this is the stream of the deployment, and goes on from what was taken in already.

        Raises:
            DataError: It is another's, entries that were taken in are gone, or those that come next are.
        """
        self._turn = await self._redis.script_load(TURN)
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hsetnx(ABOUT, "secret", fingerprint)
        pipeline.hsetnx(ABOUT, "format", FORMAT)
        pipeline.hmget(ABOUT, "secret", "format")
        pipeline.hmget(ORDER, "sequence", "let_go", "let_go_at")
        pipeline.xrange(STREAM, f"{applied.sequence}-0", f"{applied.sequence}-0")
        _, _, (secret, written), (last, let_go, let_go_at), found = await pipeline.execute()
        if (secret, written) != (fingerprint, FORMAT):
            raise DataError(
                "SHEPHERD_STATE: found a stream of another SHEPHERD_SECRET or format, expected the one of all scorers "
                "of this deployment; give each the same secret, or name another database."
            )
        gone = Place(int(let_go or 0), int(let_go_at or 0))
        if applied.sequence < gone.sequence:
            raise DataError(
                f"SHEPHERD_STATE: found a stream that begins after entry {gone.sequence:,}, expected one from entry "
                f"{applied.sequence + 1:,} on, which is what this scorer has not taken in: what is older was let go of "
                "(SHEPHERD_STREAM_DAYS). Stop this scorer, copy the folder `stream` of the ledger of one that runs and "
                "serves a model of the same features into this one's ledger, and start it again."
            )
        instant = int(found[0][1][b"t"]) if found else gone.seen_at * (gone.sequence == applied.sequence)
        if int(last or 0) < applied.sequence or (applied.sequence and instant != applied.seen_at):
            raise DataError(
                f"SHEPHERD_STATE: found a stream that ends with entry {int(last or 0)} or has another entry "
                f"{applied.sequence}, expected the one that this scorer took in. Redis lost entries: bring its "
                "append-only file back, or start from an empty database with empty ledgers."
            )

    async def turn(self, applied: int, most: int, groups: Sequence[Sequence[Draft]]) -> Turn:
        """Append groups of entries, each in its whole or not at all, and learn what came before them."""
        arguments: list[bytes | str | int] = [applied, most, self.scorer, len(groups)]
        for group in groups:
            arguments.append(len(group))
            for one in group:
                mark = one.digest + one.owner
                arguments += (one.log, one.identity, mark, one.payload, one.request, one.record, len(one.keys))
                for row, drawn in one.keys:
                    arguments += (row.slot, packed(row), int(drawn))
        end, missed, results = await self._redis.evalsha(self._turn, len(NAMES), *NAMES, *arguments)
        return Turn(int(end), _whole(applied, [_passed(name, fields[1::2]) for name, fields in missed]), results)

    async def read(self, after: int, to: int, most: int) -> list[Passed]:
        """The entries after a sequence and up to another, the first of them in order.

        Raises:
            DataError: Some are missing between them.
        """
        raw = await self._redis.xrange(STREAM, f"{after + 1}-0", f"{to}-0", count=most)
        return _whole(after, [_passed(name, list(fields.values())) for name, fields in raw])

    async def end(self) -> int:
        """The last sequence of the stream."""
        return int(await self._redis.hget(ORDER, "sequence") or 0)

    async def report(self, place: Place) -> None:
        """Say that what is known as of a place is on this scorer's disk, and that this scorer is there."""
        await self._redis.eval(REPORT, 1, KEPT, self.scorer, place.sequence)

    async def trim(self, seconds: float, most: int) -> int:
        """Let go of the oldest entries that are older than some seconds and that every scorer has on its disk.

        Args:
            seconds: Their ids are remembered so long.
            most: So many at once.

        Returns:
            How many were let go of.
        """
        names = (ORDER, STREAM, IDS, RECORDS, KEPT)
        return int(await self._redis.eval(TRIM, len(names), *names, seconds, SILENCE_SECONDS, most))

    async def told(self, identities: Sequence[bytes]) -> list[bool]:
        """For each of some ids whether all scorers can find what was decided."""
        pipeline = self._redis.pipeline(transaction=False)
        for identity in identities:
            pipeline.hexists(RECORDS, identity)
        return [bool(one) for one in await pipeline.execute()]

    async def known(self, identity: bytes) -> tuple[Known | None, bytes | None]:
        """What is known of an id, and what was decided, where it is."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hget(IDS, identity)
        pipeline.hget(RECORDS, identity)
        found, record = await pipeline.execute()
        return None if found is None else known(found), record

    async def key(self, alias: bytes) -> bytes | None:
        """The slot and key of a member by the 8 bytes of their number; None where they were forgotten."""
        slot = await self._redis.hget(ALIASES, alias)
        row: bytes | None = None if slot is None else await self._redis.hget(KEYS, slot)
        return None if row is None else slot + row

    async def keep(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Let the others find what was decided; the first word on an id stays."""
        pipeline = self._redis.pipeline(transaction=False)
        for identity, record in records:
            pipeline.hsetnx(RECORDS, identity, record)
        await pipeline.execute()

    async def forget(self, slot: bytes) -> bool:
        """Delete a member's key and tell every scorer; whether there was one."""
        found = bool(await self._redis.eval(FORGET, len(NAMES), *NAMES, slot))
        with contextlib.suppress(ResponseError):  # there is no such file, or it is written anew just now
            await self._redis.bgrewriteaof()
        return found

    async def warn(self) -> None:
        """Says in the log where Redis is set up so that it may lose or drop entries."""
        try:
            found = await self._redis.config_get("appendonly", "maxmemory-policy")
        except ResponseError:  # a managed one tells nobody
            return
        if found.get(b"appendonly", found.get("appendonly")) not in {b"yes", "yes"}:
            _logger.warning("Redis keeps no append-only file: the order is lost when it ends; set appendonly yes")

    async def close(self) -> None:
        """Let go of all connections."""
        await self._redis.aclose()


def packed(row: KeyRow) -> bytes:
    """A member's key as Redis keeps it under its slot."""
    return row.alias.to_bytes(8, "little") + row.wrapped


def known(found: bytes) -> Known:
    """What stands under an id."""
    return Known(found[:_DIGEST], found[_DIGEST:_MARK], int(found[_MARK:]))


def _whole(after: int, passed: list[Passed]) -> list[Passed]:
    """The same; refused where one between them is missing, since a state without it would answer something else."""
    for expected, one in enumerate(passed, after + 1):
        if one.place.sequence != expected:
            raise DataError(
                f"SHEPHERD_STATE: found entry {one.place.sequence} after entry {expected - 1} of the stream, expected "
                "each; Redis lost entries, or let go of them since: start this scorer again."
            )
    return passed


def _passed(name: bytes, values: Sequence[bytes]) -> Passed:
    instant, scorer, log, identity, mark, payload, request = values
    place = Place(int(name.partition(b"-")[0]), int(instant))
    return Passed(place, scorer, log.decode(), identity, mark[:_DIGEST], mark[_DIGEST:_MARK], payload, request)

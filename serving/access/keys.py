"""API keys: who may ask what, and how often.

A key is 32 bytes of the operating system's chance, shown once when it is made; the file keeps its sha256. Plain sha256
is right here: nobody can guess among 2**256 keys, so there is nothing for a slow password hash to slow down, and a slow
hash would cost more than the scoring on every request. The digest is compared with every key of the file in constant
time, so that the time of an answer says nothing about which keys there are.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import re
import secrets
import stat
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

import msgspec

from data.errors import DataError, UsageError
from serving.access.limits import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Scope = Literal["score", "batch", "events", "read", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PREFIX: Final = "shepherd_"
"""How a key begins, so that a scanner for leaked secrets can find one."""
RATE: Final = 1_000.0
LARGEST_FILE: Final = 1 << 20

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BEARER: Final = b"bearer "
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key, without the key itself.

    Attributes:
        name: What people call it; logs name it so.
        sha256: Hash of the key, hexadecimal.
        scopes: What it may ask: `score` one decision, `batch` many and the audiences, `events` in, `read` decisions,
            models and metrics, `admin` what changes the service (from the machine itself only).
        rate: Requests a second.
        burst: Most requests at once after a pause.
        until: When it ends, with a time zone; None: not until it is removed.
    """

    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    rate: float = RATE
    burst: int = int(RATE)
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that may go on, and whose key let it."""

    name: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that may not go on.

    Attributes:
        status: 401 (no key that is known), 403 (a scope is missing, or the peer is elsewhere) or 429 (too often).
        reason: The same as a word, for metrics: `key`, `scope`, `peer` or `rate`.
        found: What was found.
        expected: What was expected.
        fix: How to mend it.
        headers: What the answer says besides.
    """

    status: int
    reason: str
    found: str
    expected: str
    fix: str
    headers: dict[str, str]


class Keys:
    """The keys of one file, each with its bucket.

    Args:
        keys: What the file holds.
        clock: Seconds that never run backwards.
        today: Seconds since 1970 UTC, for keys that end.

    Attributes:
        listed: The keys, in their order.
        buckets: What each has left, by its hash and rate.

    Raises:
        DataError: A key is not as it should be; all problems are named.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        problems = _problems(keys)
        if problems:
            raise DataError("Keys: " + "; ".join(problems) + ". Remove and add them with `shepherd keys`.")
        self.listed = tuple(keys)
        self._today = today
        self._known = tuple((bytes.fromhex(key.sha256), key) for key in self.listed)
        self.buckets = {_rated(key): TokenBucket(key.rate, key.burst, clock) for key in self.listed}

    @classmethod
    def read(cls, path: Path, clock: Callable[[], float] = time.monotonic) -> Keys:
        """Read a file of keys.

        Raises:
            DataError: It cannot be read, others than its owner can write it, or a key is not as it should be.
        """
        return cls(read_keys(path), clock)

    def go_on_from(self, before: Keys) -> None:
        """Let a key that stood there before, at the same rate, have what it has left and no more."""
        spent = before.buckets
        self.buckets = {one: spent.get(one, new) for one, new in self.buckets.items()}

    def allowed(self, header: bytes | None, scope: Scope | None) -> Grant | Refusal:
        """Judge one request.

        Args:
            header: Its `Authorization`, such as `Bearer shepherd_...`; None where it has none.
            scope: What it asks for; None where any key will do.
        """
        asked = hashlib.sha256(_token(header)).digest()
        key: Key | None = None
        for digest, one in self._known:  # all of them, whatever was found: the time must not say which
            if hmac.compare_digest(digest, asked):
                key = one
        if key is None:
            return _unknown(header)
        if key.until is not None and self._today() >= key.until.timestamp():
            return _ended()
        if scope is not None and scope not in key.scopes:
            return _lacking(key, scope)
        wait = self.buckets[_rated(key)].take()
        return _too_often(key, wait) if wait else Grant(key.name)


def _rated(key: Key) -> tuple[str, float, int]:
    return key.sha256, key.rate, key.burst


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read the keys of a file, as they stand there.

    Raises:
        DataError: It cannot be read, others than its owner can write it, or it is no file of keys.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise DataError(
            f"Keys {path}: found no file that can be read ({error.strerror}), expected one that `shepherd keys add` "
            "wrote; add a key, or mend the path."
        ) from error
    if mode & _WRITABLE_BY_OTHERS:
        raise DataError(
            f"Keys {path}: found the mode {stat.S_IMODE(mode):o}, expected one that only its owner can write, because "
            f"who writes it lets themselves in; look who did, then `chmod 600 {path}`."
        )
    try:
        if len(content) > LARGEST_FILE:
            raise DataError(f"Keys {path}: found more than {LARGEST_FILE:,} bytes, expected a file of keys.")
        return msgspec.json.decode(content, type=_File).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"Keys {path}: found a file that breaks its format ({error}), expected what `shepherd keys add` writes; "
            "restore it, or remove it and add the keys again."
        ) from error


def new_key(
    name: str, scopes: Sequence[str], rate: float = RATE, burst: int | None = None, until: datetime | None = None
) -> tuple[Key, str]:
    """Draw a key.

    Args:
        name: What people call it.
        scopes: What it may ask.
        rate: Requests a second.
        burst: Most requests at once; those of one second if not given.
        until: When it ends, with a time zone; None never.

    Returns:
        What the file keeps, and the key, which nobody can ever read again.

    Raises:
        UsageError: Name, scopes, rate or burst are not as they should be; all problems are named.
    """
    drawn = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(drawn.encode()).hexdigest()
    most = burst if burst is not None else max(1, math.ceil(rate) if math.isfinite(rate) else 1)
    unknown = [scope for scope in scopes if scope not in SCOPES]
    known: tuple[Scope, ...] = tuple(scope for scope in SCOPES if scope in scopes)
    key = Key(name, digest, known, rate, most, until)
    problems = [f"found the scopes {unknown}, expected some of {', '.join(SCOPES)}"] * bool(unknown)
    problems += _problems([key])
    if problems:
        raise UsageError("Key: " + "; ".join(problems) + ". Mend the options of `shepherd keys add`.")
    return key, drawn


def encode_keys(keys: Sequence[Key]) -> bytes:
    """The bytes of a file of keys, for people to read too."""
    return msgspec.json.format(msgspec.json.encode(_File(tuple(keys))), indent=2) + b"\n"


def _token(header: bytes | None) -> bytes:
    if header is None or header[: len(_BEARER)].lower() != _BEARER:
        return b""
    return header[len(_BEARER) :].strip()


def _problems(keys: Sequence[Key]) -> list[str]:
    names, digests = [key.name for key in keys], [key.sha256 for key in keys]
    problems = []
    for number, key in enumerate(keys, 1):
        where = f"key {number} of {len(keys)}" if len(keys) > 1 else "the key"
        if not _NAME.fullmatch(key.name):
            problems.append(f"{where}: found no such name, expected 1 to 64 letters, digits, dot, dash and underscore")
        if not _SHA256.fullmatch(key.sha256):
            problems.append(f"{where}: found no sha256, expected 64 hexadecimal digits")
        if not key.scopes:
            problems.append(f"{where}: found no scopes, expected some of {', '.join(SCOPES)}")
        if not (math.isfinite(key.rate) and key.rate > 0 and key.burst >= 1):
            problems.append(
                f"{where}: found the rate {key.rate} and the burst {key.burst}, expected more than 0 and 1 or more"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [f"found the names {twice} twice, expected each once"] * bool(twice)
    return problems + ["found one sha256 twice, expected each key once"] * (len(set(digests)) < len(digests))


def _unknown(header: bytes | None) -> Refusal:
    return Refusal(
        401,
        "key",
        "no key" if header is None else "a key that is not known here",
        "Authorization: Bearer, and a key that `shepherd keys add` made",
        "send a key of this service",
        {"www-authenticate": 'Bearer realm="shepherd"'},
    )


def _ended() -> Refusal:
    return Refusal(
        401,
        "key",
        "a key whose time is over",
        "a key that has not ended",
        "ask the operator for a new key",
        {"www-authenticate": 'Bearer realm="shepherd", error="invalid_token"'},
    )


def _lacking(key: Key, scope: Scope) -> Refusal:
    return Refusal(
        403,
        "scope",
        f"a key with {', '.join(key.scopes)}",
        f"a key with the scope {scope}",
        f"ask the operator for a key with {scope}",
        {"www-authenticate": f'Bearer realm="shepherd", error="insufficient_scope", scope="{scope}"'},
    )


def _too_often(key: Key, wait: float) -> Refusal:
    return Refusal(
        429,
        "rate",
        "more requests than this key may send",
        f"at most {key.rate:g} a second, {key.burst} at once",
        "wait as long as Retry-After says",
        {"retry-after": str(max(1, math.ceil(wait)))},
    )

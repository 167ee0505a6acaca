"""Keeps what is personal out of clear text: pseudonyms, and a key of its own for every member.

Everything hangs on one secret of the deployment. What names a device, an address or a code becomes a number by a keyed
hash under it. A member has a random key besides; records are sealed under that key, and the member's number is a keyed
hash under it, so that whoever deletes the key makes the records unreadable and the number nobody's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET_FILE: Final = "secret"  # noqa: S105 - its name
SECRET_BYTES: Final = 32
NOBODY: Final = 0
"""The alias that stands where an entry has no member."""

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_NONCE: Final = 12
_TAG: Final = 16
_SPARE_BITS: Final = 3  # 61 bits are left, which fit what a feature's key may hold
_WORD: Final = (1 << 64) - 1
_SEPARATOR: Final = b"\x1f"
_MEMBERS_CACHED: Final = 1 << 17
_ALIASES_CACHED: Final = 1 << 18


class KeyRow(NamedTuple):
    """A member's key as it is stored: the alias, the keyed hash of the id, and the key, sealed."""

    alias: int
    slot: bytes
    wrapped: bytes


class KeyStore(Protocol):
    """Where members' keys are kept."""

    def by_slot(self, slot: bytes) -> KeyRow | None:
        """The key of a member; None where there is none, or none any more."""

    def by_alias(self, alias: int) -> KeyRow | None:
        """The same by the member's number."""


class Seal:
    """Seals bytes under one key with AES-256-GCM; what it gives is a random nonce, the ciphertext and its tag."""

    def __init__(self, key: bytes) -> None:
        """Args: 32 bytes."""
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, bound: bytes = b"") -> bytes:
        """Content that only this key opens, and only together with the bytes that it is bound to."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, bound)

    def unseal(self, sealed: bytes, bound: bytes = b"") -> bytes:
        """What was sealed.

        Raises:
            DataError: It was sealed under another key, bound to something else, or altered.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        except (InvalidTag, ValueError) as error:
            raise DataError(
                f"sealed content of {len(sealed)} bytes: does not open under its key, so it was altered or the secret "
                "is another; expected what was written. `shepherd replay --all` names what else differs."
            ) from error


@dataclass(eq=False, slots=True)
class MemberKey:
    """One member's key.

    Attributes:
        alias: The member's number in state and log: 61 bits, nobody's once the key is deleted.
        slot: Keyed hash of the member's id under the deployment's secret: the row of the key.
        wrapped: The key as it is stored, sealed under the deployment's secret.
        stored: Whether a commit holds it already; the first entry of a member brings its key along.
    """

    alias: int
    slot: bytes
    wrapped: bytes = field(repr=False)
    _seal: Seal = field(repr=False)
    stored: bool = True

    def seal(self, content: bytes, bound: bytes = b"") -> bytes:
        """As `Seal.seal`, under the member's key."""
        return self._seal.seal(content, bound)

    def unseal(self, sealed: bytes, bound: bytes = b"") -> bytes:
        """As `Seal.unseal`, under the member's key."""
        return self._seal.unseal(sealed, bound)


class Vault:
    """The deployment's secret at work.

    `alias`, `identity` and `digest` may be called from any thread, `member` and `known` from one, `drop` from another.
    """

    def __init__(self, secret: bytes, store: KeyStore) -> None:
        """Args: 32 bytes of secret, and where members' keys are kept."""
        self._store = store
        self._identity = _keyed(secret, b"identity", 16)
        self._digest = _keyed(secret, b"content", 16)
        self._slot = _keyed(secret, b"slot", 16)
        self._wrapping = Seal(_derived(secret, b"wrapping"))
        self.deployment: Final = Seal(_derived(secret, b"deployment"))
        self.fingerprint: Final = _derived(secret, b"fingerprint")[:16]
        self._owner = _keyed(secret, b"owner", 8)
        self.alias: Callable[[str, str], int] = lru_cache(maxsize=_ALIASES_CACHED)(_alias(_keyed(secret, b"alias", 8)))
        self._members: OrderedDict[str, MemberKey] = OrderedDict()
        self._by_alias: OrderedDict[int, MemberKey] = OrderedDict()
        self._fresh: dict[bytes, MemberKey] = {}

    @classmethod
    def open(cls, secret: bytes, store: KeyStore) -> Vault:
        """A vault over a store of keys.

        Raises:
            UsageError: The secret is not 32 bytes long.
        """
        if len(secret) != SECRET_BYTES:
            raise UsageError(
                f"SHEPHERD_SECRET: found {len(secret)} bytes, expected {SECRET_BYTES}; draw them at random."
            )
        return cls(secret, store)

    def identity(self, log: str, id: str) -> bytes:  # noqa: A002 - it is the id
        """What an event is known by at rest, 16 bytes: a keyed hash of its log and id."""
        keyed = self._identity.copy()
        keyed.update(log.encode() + _SEPARATOR + id.encode("utf-8", "surrogatepass"))
        return keyed.digest()

    def digest(self, content: bytes) -> bytes:
        """16 bytes that differ where content differs: a keyed hash."""
        keyed = self._digest.copy()
        keyed.update(content)
        return keyed.digest()

    def slot(self, member_id: str) -> bytes:
        """Where a member's key is kept, 16 bytes: a keyed hash of the id."""
        keyed = self._slot.copy()
        keyed.update(member_id.encode("utf-8", "surrogatepass"))
        return keyed.digest()

    def member(self, member_id: str) -> MemberKey:
        """The key of a member; a new one, brought to the store by the member's next entry, where there is none."""
        found = self.known(member_id)
        if found is None:
            found = self.draw(member_id)
            self.accept(found)
        return found

    def draw(self, member_id: str) -> MemberKey:
        """A new key for a member who has none; nobody knows of it before `accept`."""
        return self._drawn(member_id, self.slot(member_id))

    def accept(self, key: MemberKey) -> None:
        """Lets a drawn key be its member's: the next commit brings it to the store."""
        self._fresh[key.slot] = key

    def known(self, member_id: str) -> MemberKey | None:
        """The key of a member; None for one never seen, or forgotten."""
        members = self._members  # this very one: what is read while a key is deleted must not outlive `drop`
        found = members.get(member_id)
        if found is None:
            slot = self.slot(member_id)
            found = self._fresh.get(slot) or self._read(self._store.by_slot(slot))
            if found is not None and found.stored:
                if len(members) >= _MEMBERS_CACHED:
                    members.popitem(last=False)  # a plain dict looks through all that it gave up before
                members[member_id] = found
        return found

    def of_alias(self, alias: int) -> MemberKey | None:
        """The key behind a member's number; None for one forgotten."""
        cached = self._by_alias
        found = cached.get(alias)
        if found is None:
            found = self._read(self._store.by_alias(alias))
            if found is not None:
                if len(cached) >= _MEMBERS_CACHED:
                    cached.popitem(last=False)
                cached[alias] = found
        return found

    def drop(self) -> None:
        """Lets go of all keys that the store holds: some may have been deleted by another process."""
        self._members, self._by_alias = OrderedDict(), OrderedDict()

    def adopt(self, row: KeyRow) -> MemberKey:
        """The key of a member whom another scorer met first; the next commit brings it to the store."""
        waiting = self._fresh.get(row.slot)
        if waiting is not None and waiting.alias == row.alias:
            return waiting  # two keys of one member would both go to the store
        key = MemberKey(row.alias, row.slot, row.wrapped, Seal(self._wrapping.unseal(row.wrapped, row.slot)))
        if self._store.by_slot(row.slot) != row:
            key.stored = False
            self._fresh[row.slot] = key
        return key

    def release(self, slot: bytes) -> None:
        """Lets go of a key that no commit holds, so that none will, also where an entry with it waits for one."""
        key = self._fresh.pop(slot, None)
        if key is not None:
            key.stored = True

    def fresh(self) -> list[MemberKey]:
        """The keys that no commit holds yet, also of those whose only trace is in another's event; from any thread."""
        return list(self._fresh.values())

    def kept(self, key: MemberKey) -> None:
        """Takes note that a commit holds a key."""
        key.stored = True
        self._fresh.pop(key.slot, None)

    def masked(self, alias: int, sequence: int) -> int:
        """Whose an entry is, as it is stored: the same for no two entries of a member without the secret.

        The same call takes the mask off again. A signed 64-bit number.
        """
        keyed = self._owner.copy()
        keyed.update(sequence.to_bytes(8, "little"))
        return _signed((alias & _WORD) ^ int.from_bytes(keyed.digest(), "little"))

    def _drawn(self, member_id: str, slot: bytes) -> MemberKey:
        while True:
            key = secrets.token_bytes(SECRET_BYTES)
            alias = _alias(hashlib.blake2b(key=key, person=b"member alias", digest_size=8))("member", member_id)
            if alias != NOBODY and self._store.by_alias(alias) is None:
                return MemberKey(alias, slot, self._wrapping.seal(key, slot), Seal(key), stored=False)

    def _read(self, row: KeyRow | None) -> MemberKey | None:
        if row is None:
            return None
        return MemberKey(row.alias, row.slot, row.wrapped, Seal(self._wrapping.unseal(row.wrapped, row.slot)))


def read_secret(folder: Path, given: str | None) -> bytes:
    """The secret of a deployment: what is given, else the file of the ledger's folder, made at the first start.

    Args:
        folder: Of the ledger.
        given: `SHEPHERD_SECRET`, 32 bytes in hexadecimal digits.

    Raises:
        UsageError: What is given, or the file, is no secret, or others may read the file.
    """
    path = folder / SECRET_FILE
    if given is None:
        with contextlib.suppress(FileExistsError):
            _make(path)
        if path.stat().st_mode & 0o077:
            raise UsageError(f"secret {path}: others may read it, expected mode 600; run `chmod 600` on it.")
        given = path.read_text(encoding="ascii", errors="replace").strip()
    if not _HEX.fullmatch(given):
        raise UsageError(
            f"SHEPHERD_SECRET or {path}: found {len(given)} characters, expected {2 * SECRET_BYTES} hexadecimal "
            "digits; draw them at random (`openssl rand -hex 32`) and keep them: without them the log cannot be read."
        )
    return bytes.fromhex(given)


def _make(path: Path) -> None:
    """Writes a new secret aside and links it into place, so that nobody ever reads half of one."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(aside)
    finally:
        aside.unlink(missing_ok=True)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(key=secret, person=purpose, digest_size=SECRET_BYTES).digest()


def _keyed(secret: bytes, purpose: bytes, size: int) -> hashlib.blake2b:
    return hashlib.blake2b(key=_derived(secret, purpose), person=purpose, digest_size=size)


def _alias(keyed: hashlib.blake2b) -> Callable[[str, str], int]:
    def alias(kind: str, value: str) -> int:
        mine = keyed.copy()
        mine.update(kind.encode() + _SEPARATOR + value.encode("utf-8", "surrogatepass"))
        return int.from_bytes(mine.digest(), "little") >> _SPARE_BITS

    return alias


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from serving.ledger.vault import KeyRow, Vault, read_secret

SECRET = bytes(range(32))


class Store:
    """Keys in memory."""

    def __init__(self):
        self.rows = {}

    def keep(self, vault, key):
        self.rows[key.slot] = KeyRow(key.alias, key.slot, key.wrapped)
        vault.kept(key)

    def by_slot(self, slot):
        return self.rows.get(slot)

    def by_alias(self, alias):
        return next((row for row in self.rows.values() if row.alias == alias), None)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def vault(store):
    return Vault.open(SECRET, store)


@given(kind=st.text(max_size=8), value=st.text())
def test_an_alias_is_61_bits_the_same_again_and_another_elsewhere(kind, value):
    one, again, other = (Vault(secret, Store()) for secret in (SECRET, SECRET, bytes(32)))

    assert 0 <= one.alias(kind, value) < 1 << 61
    assert one.alias(kind, value) == again.alias(kind, value) != other.alias(kind, value)


def test_aliases_of_different_values_and_kinds_differ(vault):
    aliases = {vault.alias(kind, str(value)) for kind in ("ip", "device_id") for value in range(10_000)}
    assert len(aliases) == 20_000


def test_more_members_than_are_remembered_keep_their_keys(vault, store, monkeypatch):
    monkeypatch.setattr("serving.ledger.vault._MEMBERS_CACHED", 4)
    names = [f"member {number}" for number in range(20)]
    for name in names:
        store.keep(vault, vault.member(name))
    keys = [vault.member(name).alias for name in names]

    assert [vault.member(name).alias for name in reversed(names)] == keys[::-1]
    assert [vault.of_alias(alias).alias for alias in keys] == keys
    assert len(vault._members) <= 4 >= len(vault._by_alias)


def test_identities_and_digests_are_keyed(vault):
    other = Vault(bytes(32), Store())
    assert len({vault.identity("scans", "1"), vault.identity("orders", "1"), other.identity("scans", "1")}) == 3
    assert len({vault.digest(b"a"), vault.digest(b"b"), other.digest(b"a")}) == 3
    assert len(vault.identity("scans", "1")) == len(vault.digest(b"")) == 16


def test_a_member_has_one_key_before_and_after_it_is_stored_and_in_the_next_process(vault, store):
    assert vault.known("ann") is None
    fresh = vault.member("ann")
    sealed = fresh.seal(b"content", b"place")

    assert not fresh.stored
    assert vault.member("ann") is fresh
    store.keep(vault, fresh)
    for again in (vault.member("ann"), Vault(SECRET, store).member("ann"), vault.of_alias(fresh.alias)):
        assert (again.alias, again.stored, again.unseal(sealed, b"place")) == (fresh.alias, True, b"content")


def test_keys_of_members_are_their_own(vault):
    ann, bob = vault.member("ann"), vault.member("bob")
    assert ann.alias != bob.alias
    with pytest.raises(DataError, match="does not open"):
        bob.unseal(ann.seal(b"content"))


def test_a_forgotten_member_is_another_one_when_they_come_again(vault, store):
    first = vault.member("ann")
    store.keep(vault, first)
    assert vault.member("ann").alias == first.alias  # from memory by now
    del store.rows[first.slot]
    vault.drop()

    assert vault.known("ann") is None
    assert vault.of_alias(first.alias) is None
    assert vault.member("ann").alias != first.alias


def test_a_key_that_no_commit_holds_yet_outlives_a_drop(vault):
    fresh = vault.member("ann")
    vault.drop()
    assert vault.member("ann") is fresh


@pytest.mark.parametrize("change", [lambda sealed: sealed[:-1] + b"x", lambda sealed: sealed[:9], lambda _: b""])
def test_what_was_altered_does_not_open(vault, change):
    with pytest.raises(DataError, match="altered"):
        vault.deployment.unseal(change(vault.deployment.seal(b"content")))


def test_what_is_sealed_is_bound_to_its_place_and_never_the_same(vault):
    sealed = vault.deployment.seal(b"content", b"1")
    assert vault.deployment.seal(b"content", b"1") != sealed
    with pytest.raises(DataError, match="altered"):
        vault.deployment.unseal(sealed, b"2")


@given(alias=st.integers(0, (1 << 61) - 1), sequence=st.integers(1, 1 << 62))
def test_a_mask_comes_off_again_and_hides_whose_an_entry_is(alias, sequence):
    vault = Vault(SECRET, Store())
    masked = vault.masked(alias, sequence)

    assert vault.masked(masked, sequence) == alias
    assert masked != vault.masked(alias, sequence + 1)


def test_a_secret_is_made_once_for_nobody_else(tmp_path):
    secret = read_secret(tmp_path, None)

    assert len(secret) == 32
    assert read_secret(tmp_path, None) == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert read_secret(tmp_path, "ab" * 32) == b"\xab" * 32


def test_what_is_no_secret_is_refused(tmp_path):
    with pytest.raises(UsageError, match="found 3 characters, expected 64"):
        read_secret(tmp_path, "abc")
    read_secret(tmp_path, None)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        read_secret(tmp_path, None)
    with pytest.raises(UsageError, match="found 5 bytes, expected 32"):
        Vault.open(b"short", Store())

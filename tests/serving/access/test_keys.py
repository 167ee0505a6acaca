from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from data.errors import DataError, UsageError
from serving.access import key_file
from serving.access.key_file import KeyFile
from serving.access.keys import PREFIX, SCOPES, Grant, Key, Keys, Refusal, new_key, read_keys

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def bearer(key: str) -> bytes:
    return b"Bearer " + key.encode()


def test_a_key_is_long_and_drawn_anew_and_only_its_hash_is_kept() -> None:
    (one, first), (_, second) = new_key("pos", ["score"]), new_key("pos", ["score"])

    assert first != second
    assert first.startswith(PREFIX)
    assert len(first) == len(PREFIX) + 43  # 32 bytes in base64
    assert one.sha256 == hashlib.sha256(first.encode()).hexdigest()
    assert first not in repr(one)


@pytest.mark.parametrize("asked", SCOPES)
@pytest.mark.parametrize("had", SCOPES)
def test_a_key_opens_what_it_was_made_for_and_nothing_else(had: str, asked: str) -> None:
    key, drawn = new_key("pos", [had])

    found = Keys([key]).allowed(bearer(drawn), asked)

    if had == asked:
        assert found == Grant("pos")
    else:
        assert isinstance(found, Refusal)
        assert found.status == 403
        assert found.expected == f"a key with the scope {asked}"
        assert f'scope="{asked}"' in found.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer x",
        b"Basic {}",
        b"{}",
        b"Bearer {} x",
        b"Bearer {}x",
        b"Bearer {",
        b"Bearer \xff\xfe",
        b"Bearer " + b"x" * 100_000,
    ],
    ids=lambda header: repr(header)[:24],
)
def test_what_is_no_key_opens_nothing(header: bytes | None) -> None:
    key, drawn = new_key("pos", SCOPES)
    sent = None if header is None else header.replace(b"{}", drawn.encode())

    found = Keys([key]).allowed(sent, "score")

    assert isinstance(found, Refusal)
    assert found.status == 401
    assert found.headers["www-authenticate"] == 'Bearer realm="shepherd"'


def test_the_hash_of_a_key_is_no_key() -> None:
    key, _ = new_key("pos", SCOPES)

    assert isinstance(Keys([key]).allowed(bearer(key.sha256), "score"), Refusal)


def test_the_word_bearer_is_read_in_any_case() -> None:
    key, drawn = new_key("pos", SCOPES)

    assert Keys([key]).allowed(b"bEARER  " + drawn.encode(), "score") == Grant("pos")


def test_every_key_is_compared_whatever_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [new_key(f"key-{number}", ["score"]) for number in range(5)]
    keys = Keys([key for key, _ in made])
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("serving.access.keys.hmac.compare_digest", compare)

    assert keys.allowed(bearer(made[0][1]), "score") == Grant("key-0")
    assert len(compared) == 5


def test_each_key_has_a_rate_of_its_own() -> None:
    clock = Clock()
    (slow, one), (fast, other) = new_key("slow", ["score"], rate=0.5, burst=2), new_key("fast", ["score"])
    keys = Keys([slow, fast], clock)

    found = [keys.allowed(bearer(one), "score") for _ in range(3)]

    assert found[:2] == [Grant("slow"), Grant("slow")]
    assert isinstance(found[2], Refusal)
    assert (found[2].status, found[2].headers) == (429, {"retry-after": "2"})
    assert keys.allowed(bearer(other), "score") == Grant("fast")
    clock.now = 2.0
    assert keys.allowed(bearer(one), "score") == Grant("slow")


def test_a_key_that_has_ended_is_none() -> None:
    today = Clock()
    made, key = new_key("agency", ["batch"], until=datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    keys = Keys([made], today=today)

    assert keys.allowed(bearer(key), "batch") == Grant("agency")
    today.now = 60.0
    found = keys.allowed(bearer(key), "batch")

    assert isinstance(found, Refusal)
    assert (found.status, found.reason) == (401, "key")
    assert "time is over" in found.found


def test_what_is_no_key_to_be_made_is_refused_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        new_key("two words", ["score", "fly"], rate=0.0, burst=0)

    for said in ("['fly']", "1 to 64 letters", "found the rate 0.0 and the burst 0"):
        assert said in str(refused.value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="found the rate"):
        new_key("pos", ["score"], rate=rate)


def test_adding_listing_and_removing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys.json"

    first = key_file.add(path, "pos", ["score"], 10.0)
    key_file.add(path, "crm", ["batch", "read"], 5.0, 50)

    assert [(key.name, key.scopes, key.rate, key.burst) for key in key_file.listed(path)] == [
        ("pos", ("score",), 10.0, 10),
        ("crm", ("batch", "read"), 5.0, 50),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first not in path.read_text()
    assert Keys.read(path).allowed(bearer(first), "score") == Grant("pos")
    key_file.remove(path, "pos")
    assert [key.name for key in key_file.listed(path)] == ["crm"]
    assert isinstance(Keys.read(path).allowed(bearer(first), "score"), Refusal)
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


def test_the_last_key_leaves_a_file_that_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    drawn = key_file.add(path, "pos", ["score"], 10.0)

    key_file.remove(path, "pos")

    assert read_keys(path) == ()
    assert isinstance(Keys.read(path).allowed(bearer(drawn), "score"), Refusal)


def test_a_name_is_given_once_and_a_stranger_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key_file.add(path, "pos", ["score"], 10.0)
    before = path.read_bytes()

    with pytest.raises(UsageError, match="expected a new name"):
        key_file.add(path, "pos", ["read"], 10.0)
    with pytest.raises(UsageError, match="expected one of: pos"):
        key_file.remove(path, "crm")

    assert path.read_bytes() == before


def test_keys_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    names = [f"key-{number}" for number in range(16)]
    threads = [threading.Thread(target=key_file.add, args=(path, name, ["score"], 1.0)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(key.name for key in key_file.listed(path)) == sorted(names)


BAD_FILES = {
    "nothing": b"",
    "no json": b"{",
    "no utf-8": b'{"keys": "\xff"}',
    "a list": b"[]",
    "no keys": b"{}",
    "an unknown key": b'{"keys": [], "more": 1}',
    "a key in clear": b'{"keys": [{"name": "pos", "key": "x", "scopes": ["score"]}]}',
    "an unknown scope": json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "scopes": ["fly"]}]}).encode(),
    "no hash": json.dumps({"keys": [{"name": "a", "sha256": "0" * 63, "scopes": ["score"]}]}).encode(),
    "no scopes": json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "scopes": []}]}).encode(),
    "no rate": json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "scopes": ["read"], "rate": 0}]}).encode(),
    "twice": json.dumps({"keys": [{"name": "a", "sha256": "0" * 64, "scopes": ["read"]}] * 2}).encode(),
    "large": b" " * (1 << 20) + b'{"keys": []}',
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(BAD_FILES[name])

    with pytest.raises(DataError, match="expected"):
        KeyFile(path)


def test_all_that_is_wrong_with_keys_is_said_at_once() -> None:
    with pytest.raises(DataError) as refused:
        Keys([Key("a", "x", ("score",)), Key("a", "x", ())])

    for said in ("key 1 of 2: found no sha256", "key 2 of 2: found no scopes", "['a'] twice", "found one sha256 twice"):
        assert said in str(refused.value)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    key_file.add(path, "pos", ["score"], 10.0)
    path.chmod(mode)

    with pytest.raises(DataError, match=rf"mode {mode:o}.*chmod 600"):
        KeyFile(path)


def test_a_running_service_sees_what_was_added_and_removed(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys.json"
    pos = key_file.add(path, "pos", ["score"], 10.0)
    running = KeyFile(path, clock)
    crm = key_file.add(path, "crm", ["score"], 10.0)
    key_file.remove(path, "pos")

    assert running.current().allowed(bearer(pos), "score") == Grant("pos")
    clock.now = 1.0
    assert running.current().allowed(bearer(crm), "score") == Grant("crm")
    assert isinstance(running.current().allowed(bearer(pos), "score"), Refusal)


def test_a_change_of_the_file_gives_no_key_its_rate_anew(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys.json"
    pos = key_file.add(path, "pos", ["score"], 0.5, 1)
    running = KeyFile(path, clock)
    assert running.current().allowed(bearer(pos), "score") == Grant("pos")
    crm = key_file.add(path, "crm", ["score"], 10.0)
    clock.now = 1.0

    assert running.current().allowed(bearer(crm), "score") == Grant("crm")
    assert isinstance(running.current().allowed(bearer(pos), "score"), Refusal)
    clock.now = 2.0
    assert running.current().allowed(bearer(pos), "score") == Grant("pos")


def test_a_running_service_notices_that_others_can_write_its_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = Clock(), tmp_path / "keys.json"
    pos = key_file.add(path, "pos", ["score"], 10.0)
    running = KeyFile(path, clock)
    path.chmod(0o666)
    clock.now = 1.0

    assert running.current().allowed(bearer(pos), "score") == Grant("pos")
    assert "mode 666" in caplog.text


@pytest.mark.parametrize("harm", ["broken", "gone", "open to all"])
def test_a_running_service_never_falls_open(tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture) -> None:
    clock, path = Clock(), tmp_path / "keys.json"
    pos = key_file.add(path, "pos", ["score"], 10.0)
    running = KeyFile(path, clock)
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"{" if harm == "broken" else b'{"keys": []}')
        path.chmod(0o600 if harm == "broken" else 0o666)
        os.utime(path, (1, 1))
    clock.now = 1.0

    assert running.current().allowed(bearer(pos), "score") == Grant("pos")
    assert isinstance(running.current().allowed(b"Bearer x", "score"), Refusal)
    assert "the keys stay as they were" in caplog.text


def test_without_a_file_there_are_no_keys(tmp_path: Path) -> None:
    assert KeyFile(None).current() is None
    assert KeyFile(tmp_path / "none").current() is None

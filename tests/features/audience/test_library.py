"""Saved audiences: written whole, found by name, without circles, and counted only as they stand."""

from __future__ import annotations

import json

import pytest

from data.errors import DataError, UsageError
from features.audience import desk
from features.audience.counted import counted_of, read_counted
from features.audience.library import LONGEST_NAME, AudienceInUse, Library, UnknownAudience
from features.audience.parser import parse
from features.audience.problems import FilterRefused
from features.audience.vocabulary import MEMBER


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "home" / "audiences")


def test_what_is_saved_comes_back(library):
    condition = parse('bought(category="猕猴桃", within=90d) and not bought(brand="ours")')

    saved = library.save("猕猴桃-1", condition, "for June")

    assert library.get("猕猴桃-1") == saved
    assert library.names() == ("猕猴桃-1",)
    assert [path.name for path in library.folder.iterdir()] == ["猕猴桃-1.json"]
    assert "猕猴桃" in (library.folder / "猕猴桃-1.json").read_text(encoding="utf-8")


def test_saving_again_replaces_and_saving_the_same_writes_the_same(library):
    library.save("a", parse("everybody"))
    first = (library.folder / "a.json").read_bytes()
    library.save("a", parse("everybody"))
    assert (library.folder / "a.json").read_bytes() == first

    library.save("a", parse("not everybody"))
    assert library.get("a").condition == parse("not everybody")


@pytest.mark.parametrize(
    "name",
    ["", "A", "../a", "a/b", "a.json", ".a", "_a", "-a", "a b", "a\n", "a\x00", "x" * (LONGEST_NAME + 1), "e\u0301"],
)
def test_what_is_no_name_is_refused(library, name):
    for ask in (
        lambda: library.save(name, parse("everybody")),
        lambda: library.get(name),
        lambda: library.remove(name),
    ):
        with pytest.raises(UsageError, match="name of an audience: found"):
            ask()
    assert not library.folder.exists()


def test_an_unknown_name_is_told_with_the_nearest(library):
    library.save("regulars", parse("everybody"))

    with pytest.raises(UnknownAudience, match=r"'regular'.*expected one of regulars; did you mean 'regulars'\?"):
        library.get("regular")
    with pytest.raises(FilterRefused, match="did you mean 'regulars'"):
        library.save("other", parse('audience("regular")'))


def test_references_are_put_in_and_a_circle_is_refused(library):
    library.save("a", parse('city = "Wuhan"'))
    library.save("b", parse('audience("a") or city = "Chengdu"'))

    assert library.expanded(parse('not audience("b")')) == parse('not (city = "Wuhan" or city = "Chengdu")')
    with pytest.raises(UsageError, match=r"'a' refers to itself \(a -> b -> a\)"):
        library.save("a", parse('audience("b")'))
    with pytest.raises(UsageError, match="refers to itself"):
        library.save("b", parse('audience("b")'))
    assert library.get("a").condition == parse('city = "Wuhan"')


def test_audiences_that_double_each_time_are_refused_before_they_fill_the_memory(library):
    library.save("x0", parse("everybody and everybody"))
    for number in range(8):
        library.save(f"x{number + 1}", parse(f'audience("x{number}") and audience("x{number}")'))

    with pytest.raises(UsageError, match="conditions with those of the audiences"):
        library.save("x9", parse('audience("x8") and audience("x8")'))


def test_one_in_use_stays_until_its_user_goes(library):
    library.save("a", parse("everybody"))
    library.save("b", parse('not audience("a")'))

    with pytest.raises(AudienceInUse, match="in use by b"):
        library.remove("a")
    library.remove("b")
    library.remove("a")
    assert library.names() == ()


def test_the_fingerprint_follows_all_that_the_filter_means(library, monkeypatch):
    library.save("a", parse('city = "Wuhan"'))
    asked = parse('audience("a") and member_basket_count_90d > 1')
    first = library.fingerprint(asked)
    assert library.fingerprint(parse('city = "Wuhan" and member_basket_count_90d > 1')) == first

    library.save("a", parse('city = "Chengdu"'))
    second = library.fingerprint(asked)
    monkeypatch.setattr(type(MEMBER), "fingerprint", lambda _: "other declarations")

    assert len({first, second, library.fingerprint(asked)}) == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', json.dumps({"format": 1, "filter": "bougt()", "note": ""})]
)
def test_a_file_that_holds_none_is_bad_data(library, text):
    library.folder.mkdir(parents=True)
    (library.folder / "a.json").write_text(text)

    with pytest.raises(DataError, match="save"):
        library.get("a")


def test_what_was_counted_belongs_to_the_definition_that_was(library, brand, moment):
    library.save("recent", parse("bought(within=30d)"))
    assert counted_of(library, library.get("recent")) is None

    desk.refresh(library, (), brand, moment)
    found = counted_of(library, library.get("recent"))

    assert found is not None
    assert (found.size, found.as_of) == (len(found.members(0, 100)), moment)
    assert found.members(0, 100) == tuple(
        desk.preview(library, 'audience("recent")', brand, moment, 100).said["members"]
    )
    assert found.members(2, 3) == found.members(0, 100)[2:5]
    assert found.members(found.size, 5) == ()
    assert found.holds(found.members(0, 1)[0])
    assert not found.holds("nobody")
    assert set(found.profile) >= {"region", "channel", "segment", "demand"}
    library.save("recent", parse("bought(within=31d)"))
    assert counted_of(library, library.get("recent")) is None
    assert "not counted" in desk.show(library, "recent").text
    assert sorted(path.name for path in library.folder.iterdir()) == ["recent.json", "recent.parquet"]
    library.remove("recent")
    assert list(library.folder.iterdir()) == []


def test_many_members_are_read_a_part_at_a_time(library, brand, moment, monkeypatch):
    monkeypatch.setattr("features.audience.counted._ROWS_A_GROUP", 4)
    library.save("all", parse("everybody"))
    desk.refresh(library, ["all"], brand, moment)
    found = counted_of(library, library.get("all"))

    whole = found.members(0, 1_000)

    assert len(whole) == found.size > 12
    assert [found.members(start, 5) for start in range(0, found.size, 5)] == [
        whole[start : start + 5] for start in range(0, found.size, 5)
    ]
    assert all(found.holds(one) for one in whole)
    assert not found.holds("m1x")


def test_another_file_in_its_place_is_bad_data(library):
    library.folder.mkdir(parents=True)
    (library.folder / "a.parquet").write_text("no table")

    with pytest.raises(DataError, match="refresh it"):
        read_counted(library.members_path("a"))

"""Lists of members saved as audiences: used wherever a filter is, kept by what they hold, gone when nobody refers."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from data.sources import open_folder
from features.audience import desk
from features.audience.chinese import sentence_zh
from features.audience.counted import counted_of
from features.audience.library import AudienceInUse, Library
from features.audience.listing import list_path, write_list
from features.audience.parser import parse
from features.audience.population import population
from features.audience.problems import FilterRefused

AT = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "home" / "audiences")


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "brand").mkdir()
    rows = {
        "member_id": ["a", "b", "c", "late"],
        "registered_at": [datetime(2025, 1, 1, tzinfo=UTC)] * 3 + [datetime(2025, 7, 1, tzinfo=UTC)],
        "city": ["Wuhan", "Wuhan", None, "Wuhan"],
    }
    pq.write_table(pa.table(rows), tmp_path / "brand" / "members.parquet")
    (tmp_path / "brand" / "products.csv").write_text("product_id,category,brand\np1,tea,ours\n")
    (tmp_path / "brand" / "orders.csv").write_text(
        "line_id,order_id,ts,member_id,channel,product_id,quantity,amount_fen,discount_fen\n"
        "l1,o1,2025-05-01T09:00:00Z,a,pos,p1,1,300,0\n"
    )
    return open_folder(tmp_path / "brand")


def _chosen(library, tables, text):
    with population(tables, AT) as everybody:
        return everybody.select(library.expanded(parse(text))).preview(10)


def test_a_list_is_a_filter_like_any_other(library, tables):
    desk.save_list(library, "guests", ["c", "b", "late", "nobody", "b"], "of the evening")

    assert _chosen(library, tables, 'audience("guests")') == ("b", "c")
    assert _chosen(library, tables, 'not audience("guests")') == ("a",)
    assert _chosen(library, tables, 'audience("guests") and city = "Wuhan"') == ("b",)
    assert _chosen(library, tables, 'audience("guests") or everybody') == ("a", "b", "c")
    saved = library.get("guests")
    assert parse(str(saved.condition)) == saved.condition
    assert saved.note == "of the evening"
    assert "名单" in sentence_zh(saved.condition)


def test_a_list_is_counted_and_counted_anew_when_it_changed(library, tables):
    desk.save_list(library, "guests", ["a", "c"], "")
    desk.refresh(library, ["guests"], tables, AT)
    assert counted_of(library, library.get("guests")).members(0, 9) == ("a", "c")

    desk.save_list(library, "guests", ["b"], "")

    assert counted_of(library, library.get("guests")) is None
    desk.refresh(library, ["guests"], tables, AT)
    assert counted_of(library, library.get("guests")).members(0, 9) == ("b",)


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6), st.randoms())
def test_the_same_members_in_any_order_are_the_same_list(tmp_path_factory, ids, random):
    folder = tmp_path_factory.mktemp("lists")
    shuffled = [*ids, ids[0]]
    random.shuffle(shuffled)

    first, second = write_list(folder, ids), write_list(folder, shuffled)

    assert first == second
    assert pq.read_table(first.path)["member_id"].to_pylist() == sorted(set(ids))
    assert write_list(folder, [*ids, "another one"]) != first


def test_a_list_goes_with_the_last_that_refers_to_it(library):
    desk.save_list(library, "one", ["a"], "")
    desk.save_list(library, "two", ["a"], "")
    path = list_path(library.folder, library.get("one").condition.digest)

    library.remove("one")
    assert path.exists()
    desk.save_list(library, "two", ["b"], "")

    assert not path.exists()
    assert len(list(path.parent.iterdir())) == 1
    library.remove("two")
    assert list(path.parent.iterdir()) == []


def test_a_list_that_is_not_kept_is_refused(library, tables):
    desk.save_list(library, "guests", ["a"], "")
    text = str(library.get("guests").condition)
    list_path(library.folder, library.get("guests").condition.digest).unlink()

    with pytest.raises(FilterRefused, match="found a list that is not saved"):
        library.save("others", parse(f"not {text}"))
    with pytest.raises(FilterRefused, match="found a list that is not saved"):
        _chosen(library, tables, 'audience("guests")')
    with pytest.raises(FilterRefused, match="found what is no list"):
        parse('listed("../../members")')
    with pytest.raises(UsageError, match="found 0, expected 1 to"):
        write_list(library.folder, [])


def test_one_damaged_file_takes_no_other_with_it(library, tables):
    library.save("good", parse('city = "Wuhan"'))
    library.save("part", parse("everybody"))
    library.save("whole", parse('audience("part") or city = "Wuhan"'))
    (library.folder / "part.json").write_text('{"format": 1, "filter": "city = ')

    listed, refreshed = desk.listed(library), desk.refresh(library, [], tables, AT)

    for answer in (listed, refreshed):
        assert [one["name"] for one in answer.said["audiences"]] == ["good"]
        assert list(answer.said["damaged"]) == ["part", "whole"]
        assert all("part.json: found no audience" in refusal for refusal in answer.refusals)
        assert all("shepherd audience remove part" in refusal for refusal in answer.refusals)
    assert refreshed.said["audiences"][0]["counted"]["size"] == 2
    with pytest.raises(AudienceInUse):
        library.remove("part")
    library.save("part", parse("everybody"))
    assert desk.listed(library).refusals == ()

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from features.batch import FINGERPRINT_KEY as WRITTEN_KEY
from serving.offers import FINGERPRINT_KEY, UnknownMember, open_book

if TYPE_CHECKING:
    from pathlib import Path

    from serving.offers import OfferBook

NAMES = ("member_redemption_count", "member_basket_since", "member_discount_share")


def at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2017, month, day, hour, tzinfo=UTC)


@pytest.fixture(scope="module")
def book(home: Path) -> OfferBook:
    return open_book(home / "coupon.parquet", NAMES, home / "campaigns.parquet")


def test_the_service_looks_for_the_fingerprint_where_the_build_notes_it(book: OfferBook) -> None:
    assert FINGERPRINT_KEY == WRITTEN_KEY
    assert len(book.fingerprint) == 64


def test_only_campaigns_that_run_are_offered(book: OfferBook) -> None:
    assert book.candidates("1029", at(12, 8)).campaign_ids == ("18", "20", "22")
    assert book.candidates("1029", at(11, 10)).campaign_ids == ("17", "18")
    assert book.candidates("7", at(12, 8)).campaign_ids == ()
    assert book.candidates("7", at(12, 8)).features.shape == (0, 3)


def test_a_campaign_runs_from_its_start_up_to_its_end(book: OfferBook) -> None:
    tick = timedelta(microseconds=1)

    assert book.candidates("7", at(4, 1)).offer_ids == ("booklet-9",)
    assert book.candidates("7", at(4, 1) - tick).offer_ids == ()
    assert book.candidates("7", at(5, 1) - tick).offer_ids == ("booklet-9",)
    assert book.candidates("7", at(5, 1)).offer_ids == ()


def test_of_an_offer_built_twice_the_latest_row_up_to_the_moment_answers(book: OfferBook) -> None:
    assert book.candidates("1029", at(12, 8)).features[0].tolist() == [0, 60 * 86_400, np.float32(0.9)]
    assert book.candidates("1029", at(12, 10)).features[0].tolist() == [6, 3_600, np.float32(0.3)]


def test_what_was_known_of_some_offers_comes_in_the_order_that_is_asked(book: OfferBook) -> None:
    there = book.candidates("1029", at(12, 8))
    pairs = list(zip(there.offer_ids, there.campaign_ids, strict=True))

    assert len(pairs) == 3
    assert np.array_equal(book.given("1029", at(12, 8), pairs[::-1]), there.features[::-1], equal_nan=True)
    assert book.given("1029", at(12, 8), []).shape == (0, 3)


def test_what_is_not_known_stays_unknown(book: OfferBook) -> None:
    assert np.isnan(book.candidates("1029", at(12, 8)).features[2]).all()


def test_a_moment_in_another_zone_is_the_same_moment(book: OfferBook) -> None:
    shanghai = datetime(2017, 4, 1, 8, tzinfo=timezone(timedelta(hours=8)))

    assert book.candidates("7", shanghai).offer_ids == ("booklet-9",)


def test_an_unknown_member_is_refused(book: OfferBook) -> None:
    with pytest.raises(UnknownMember, match="none of this id among the 3"):
        book.candidates("nobody", at(12, 8))


def test_features_come_in_the_order_of_the_model(home: Path, book: OfferBook) -> None:
    turned = open_book(home / "coupon.parquet", NAMES[::-1], home / "campaigns.parquet")

    assert np.array_equal(turned.features, book.features[:, ::-1], equal_nan=True)


def test_campaigns_may_be_csv_or_parts(home: Path, tmp_path: Path, book: OfferBook) -> None:
    campaigns = pq.read_table(home / "campaigns.parquet")
    pa_csv.write_csv(campaigns.slice(0, 3), tmp_path / "part-1.csv")
    pa_csv.write_csv(campaigns.slice(3), tmp_path / "part-2.csv")
    (tmp_path / "note.txt").write_text("no part")

    found = open_book(home / "coupon.parquet", NAMES, tmp_path)

    assert np.array_equal(found.ends_at, book.ends_at)


def test_all_that_is_wrong_with_the_tables_is_said_at_once(home: Path, tmp_path: Path) -> None:
    rows = pq.read_table(home / "coupon.parquet").drop_columns(["offer_id", NAMES[1]])
    nameless = pa.array([None, *rows["member_id"].to_pylist()[1:]], pa.string())
    pq.write_table(rows.set_column(2, "member_id", nameless), tmp_path / "rows.parquet")
    campaigns = pq.read_table(home / "campaigns.parquet")
    naive = campaigns["ends_at"].cast(pa.timestamp("us"))
    pq.write_table(campaigns.set_column(2, "ends_at", naive), tmp_path / "campaigns.parquet")

    with pytest.raises(DataError) as refused:
        open_book(tmp_path / "rows.parquet", NAMES, tmp_path / "campaigns.parquet")

    message = str(refused.value)
    assert "found no columns offer_id, member_basket_since" in message
    assert "found nulls in member_id" in message
    assert "found no time zone in ends_at" in message


def test_without_a_table_of_campaigns_the_rows_say_when_they_run(home: Path, tmp_path: Path, book: OfferBook) -> None:
    rows = pq.read_table(home / "coupon.parquet")
    windows = pq.read_table(home / "campaigns.parquet")
    order = [windows["campaign_id"].to_pylist().index(campaign) for campaign in rows["campaign_id"].to_pylist()]
    for name in ("starts_at", "ends_at"):
        rows = rows.append_column(name, windows[name].take(pa.array(order)))
    pq.write_table(rows, tmp_path / "rows.parquet")

    alone = open_book(tmp_path / "rows.parquet", NAMES)

    assert np.array_equal(alone.starts_at, book.starts_at)
    assert np.array_equal(alone.ends_at, book.ends_at)
    with pytest.raises(DataError, match="found no columns starts_at, ends_at"):
        open_book(home / "coupon.parquet", NAMES)


def test_campaigns_that_nobody_declared_are_named(home: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(home / "campaigns.parquet").slice(2), tmp_path / "campaigns.parquet")

    with pytest.raises(DataError, match=r"2 campaigns that the table of campaigns does not hold \(the first: 17, 18\)"):
        open_book(home / "coupon.parquet", NAMES, tmp_path / "campaigns.parquet")


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1"])
def test_a_file_that_is_no_table_is_refused(home: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)

    with pytest.raises(DataError, match="nothing that can be read as a table"):
        open_book(tmp_path / "rows.parquet", NAMES, home / "campaigns.parquet")


def test_a_missing_file_and_an_empty_folder_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing that can be read"):
        open_book(tmp_path / "none.parquet", NAMES, home / "campaigns.parquet")
    with pytest.raises(DataError, match=r"no .parquet or .csv part"):
        open_book(home / "coupon.parquet", NAMES, tmp_path)


def test_a_naive_csv_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "campaigns.csv").write_text(
        "campaign_id,starts_at,ends_at\n18,2017-10-30 00:00:00,2017-12-25 00:00:00\n"
    )

    with pytest.raises(DataError, match="zone"):
        open_book(home / "coupon.parquet", NAMES, tmp_path / "campaigns.csv")

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data import journey
from data.checks import check
from data.errors import UsageError
from data.journey import complete_journey
from data.sources import DataSet

AUGUST = "TIMESTAMPTZ '2017-08-01 00:00:00+00'"


@pytest.fixture(scope="module")
def grocery(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return complete_journey(tmp_path_factory.mktemp("journey") / "tables")


def answer(data_set: DataSet, query: str) -> list[Any]:
    with data_set.connect() as connection:
        return connection.execute(query).fetchall()


def test_the_real_data_keeps_every_contract(grocery: DataSet) -> None:
    report = check(grocery, datetime(2026, 1, 1, tzinfo=UTC))
    assert report.passed, report.text()
    assert report.tables == {
        "campaigns": 27,
        "members": 2469,
        "products": 92351,
        "orders": 1469307,
        "offers": 1224,
        "sends": 6589,
        "redemptions": 792,
        "coupon_redemptions": 2102,
    }


@pytest.mark.parametrize(
    ("campaigns", "sends", "redeemed"),
    [(f"ends_at <= {AUGUST}", 2466, 262), (f"starts_at >= {AUGUST}", 3739, 513)],
)
def test_campaigns_before_and_after_august_hold_the_known_sends(
    grocery: DataSet, campaigns: str, sends: int, redeemed: int
) -> None:
    query = f"""
        SELECT count(*), count(redemptions.send_id)
        FROM sends JOIN campaigns USING (campaign_id) LEFT JOIN redemptions USING (send_id)
        WHERE {campaigns}
    """
    assert answer(grocery, query) == [(sends, redeemed)]


def test_money_is_whole_cents_and_adds_up_to_the_source(grocery: DataSet) -> None:
    source = journey._source_folder() / "transactions.parquet"
    paid, off, coupons = (
        "sales_value",
        "retail_disc + coupon_disc + coupon_match_disc",
        "coupon_disc + coupon_match_disc",
    )
    cents = ", ".join(f"round(sum(100 * ({part})))::BIGINT" for part in (paid, off, coupons))
    ours = "SELECT sum(amount_fen)::BIGINT, sum(discount_fen)::BIGINT, sum(coupon_discount_fen)::BIGINT FROM orders"
    assert answer(grocery, ours) == answer(grocery, f"SELECT {cents} FROM '{source}'")


def test_a_send_offers_the_booklet_of_its_campaign_from_start_to_end(grocery: DataSet) -> None:
    query = """
        SELECT sends.offer_id, kind, len(product_ids), epoch_us(sends.ts), epoch_us(ends_at), arm
        FROM sends JOIN offers USING (offer_id) WHERE send_id = '18-1029'
    """
    start = int(datetime(2017, 10, 30, tzinfo=UTC).timestamp() * 1e6)
    end = int(datetime(2017, 12, 25, tzinfo=UTC).timestamp() * 1e6)
    assert answer(grocery, query) == [("booklet-18", "type_a", 35513, start, end, "treated")]


def test_every_use_of_a_coupon_is_kept_and_the_first_is_the_redemption(grocery: DataSet) -> None:
    query = """
        SELECT count(*), count(DISTINCT send_id), count(*) FILTER (uses.ts < redemptions.ts),
            count(*) FILTER (uses.ts < sends.ts), count(offers.offer_id)
        FROM coupon_redemptions AS uses
        JOIN redemptions USING (send_id) JOIN sends USING (send_id)
        LEFT JOIN offers ON offers.offer_id = uses.offer_id AND offers.kind = 'coupon'
    """
    assert answer(grocery, query) == [(2102, 792, 0, 0, 2102)]


def test_a_second_call_reads_what_was_written_and_a_changed_mapping_writes_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {name: query for name, query in journey._TABLES.items() if name in ("campaigns", "sends")}
    monkeypatch.setattr(journey, "_TABLES", small)
    root = tmp_path / "tables"
    first = complete_journey(root)
    written = (root / "sends.parquet").stat().st_mtime_ns
    assert complete_journey(root) == first
    assert (root / "sends.parquet").stat().st_mtime_ns == written
    monkeypatch.setattr(journey, "_TABLES", {"campaigns": small["campaigns"]})
    assert set(complete_journey(root).files) == {"campaigns"}
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


def test_nothing_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"campaigns": journey._TABLES["campaigns"], "sends": "SELECT no_such_column FROM campaigns"}
    monkeypatch.setattr(journey, "_TABLES", broken)
    with pytest.raises(duckdb.Error):
        complete_journey(tmp_path / "tables")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="found other files; expected an empty or new folder"):
        complete_journey(tmp_path)


def test_a_missing_package_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey, "_PACKAGE", "no_such_package")
    with pytest.raises(UsageError, match="install the extra `train`"):
        complete_journey(tmp_path / "tables")


def test_reading_it_imports_no_pandas(grocery: DataSet) -> None:
    program = (
        "import json, pathlib, sys; from data.journey import complete_journey; from data.logs import LOGS;"
        f"complete_journey(pathlib.Path({grocery.root!r})).connect();"
        "print(json.dumps('pandas' in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(ran.stdout) is False

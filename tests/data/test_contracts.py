import subprocess
import sys

import pytest

from data.contracts import TABLES, Column, Table

# The design's own list; a trailing ? is an optional column.
DESIGNED = {
    "scans": "scan_id ts received_at? member_id device_id ip code_id batch_id? serial? product_id campaign_id "
    "lat? lon? entry? user_agent? wifi_id? status prize_fen",
    "scan_labels": "scan_id is_wool landed_at origin?",
    "feedback": "decision_id landed_at outcome allowed_at_random propensity",
    "campaigns": "campaign_id starts_at ends_at time_zone prize_odds? budget_fen?",
    "members": "member_id registered_at referrer_id? phone_prefix? city? channel? opted_out?",
    "batches": "batch_id product_id activated_at? shipped_at? region? first_serial? last_serial?",
    "products": "product_id category brand price_fen? margin_fen?",
    "payouts": "payout_id ts member_id account_id amount_fen",
    "orders": "line_id order_id ts received_at? member_id store_id? channel? product_id quantity amount_fen "
    "discount_fen? coupon_discount_fen? margin_fen? offer_id?",
    "offers": "offer_id kind face_value_fen? threshold_fen? category? brand? product_ids? stock? starts_at ends_at",
    "sends": "send_id ts member_id offer_id campaign_id arm propensity?",
    "redemptions": "send_id ts order_id?",
    "stores": "store_id lat lon opened_on closed_on? format? area_m2? chain?",
    "store_sales": "store_id month revenue_fen",
    "cells": "cell_id lat lon area_km2? population income? footfall?",
    "places": "place_id lat lon category brand? opened_on?",
    "sites": "site_id lat lon format? area_m2? rent_fen? opening_cost_fen?",
    "weather": "city day temperature_c rain_mm",
}
COLUMNS = [(table, column) for table in TABLES.values() for column in table.columns]


def test_every_table_of_the_design_and_no_other_is_declared_column_for_column() -> None:
    declared = {
        name: " ".join(f"{column.name}{'?' if column.optional else ''}" for column in table.columns)
        for name, table in TABLES.items()
    }
    assert declared == DESIGNED


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_keys_are_required_and_references_meet_columns_of_the_same_kind(table: Table) -> None:
    for name in table.key:
        assert not table.column(name).nullable
    for reference in table.references:
        target = TABLES[reference.table].column(reference.target)
        assert table.column(reference.column).kind == target.kind


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[f"{table.name}.{column.name}" for table, column in COLUMNS])
def test_a_column_means_something_and_its_rules_suit_its_kind(table: Table, column: Column) -> None:
    assert column.meaning
    assert column.nullable or not column.optional
    assert (column.kind == "money") == column.name.endswith("_fen")
    assert not column.choices or column.kind == "text"
    assert not column.past or column.kind in ("instant", "month")
    if column.kind == "money" and column.name != "margin_fen":
        assert column.minimum == 0, table.name


def test_contracts_and_errors_need_the_standard_library_only() -> None:
    program = "import sys, data.contracts, data.errors; print('numpy' in sys.modules, 'duckdb' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout.split() == ["False", "False"]

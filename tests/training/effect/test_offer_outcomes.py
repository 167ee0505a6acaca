"""One member and one offer a case, counted by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from data.errors import DataError
from data.questions import OFFER_OUTCOMES, OFFERED, REDEEMED_IF_SENT
from data.sources import open_folder
from training.dataset import build
from training.effect.experiment import read_experiment

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def told(tmp_path_factory, offers_tables):
    """Outcomes, rows and labels of the cases, by send."""
    line, shop, waves, write = offers_tables
    at = waves[0]
    end = at + 14 * DAY
    lines = [
        line(1, "sent", at - HOUR, "tea", 100),  # before: does not count
        line(2, "sent", at, "rice", 200),  # not the goods: margin alone
        line(3, "sent", end - HOUR, "tea", 1_000, coupon=300),  # the redemption
        line(4, "sent", end, "tea", 5_000),  # too late
        line(5, "withheld", at + DAY, "tea", 700),
    ]
    chances = {"sent": ("treated", 0.7), "withheld": ("control", 0.3), "idle": ("treated", 0.7)}
    sends = [
        {
            "send_id": member,
            "ts": at,
            "member_id": member,
            "offer_id": "cup",
            "campaign_id": "c0",
            "arm": arm,
            "propensity": chance,
        }
        for member, (arm, chance) in {**chances, "courted": ("treated", None), "never": ("control", 1.0)}.items()
    ]
    folder = tmp_path_factory.mktemp("by-hand")
    write(
        folder,
        {
            **shop(),
            "members": [{"member_id": one["member_id"], "registered_at": at - 10 * DAY} for one in sends],
            "orders": lines,
            "sends": sends,
            "redemptions": [{"send_id": "sent", "ts": end - HOUR, "order_id": "o3"}],
        },
    )
    with open_folder(folder).connect() as connection:
        return {
            asked.name: {row["row_id"]: row for row in connection.sql(asked.sql).to_arrow_table().to_pylist()}
            for asked in (OFFER_OUTCOMES, OFFERED, REDEEMED_IF_SENT)
        }


def test_only_what_a_lot_decided_is_a_row(told):
    assert set(told["offer"]) == set(told[OFFER_OUTCOMES.name]) == {"sent", "withheld", "idle"}


def test_a_purchase_counts_in_the_window_alone(told):
    found = told[OFFER_OUTCOMES.name]
    assert {name: one["purchased"] for name, one in found.items()} == {"sent": 1, "withheld": 1, "idle": 0}
    assert {name: one["margin_fen"] for name, one in found.items()} == {"sent": 900, "withheld": 700, "idle": 0}


def test_what_redeeming_costs_and_what_its_basket_earned_before(told):
    sent, idle = (told[OFFER_OUTCOMES.name][name] for name in ("sent", "idle"))
    assert (sent["redeemed"], sent["cost_fen"], sent["basket_margin_fen"]) == (1, 300, 1_000)
    assert (idle["redeemed"], idle["cost_fen"], idle["basket_margin_fen"]) == (0, 0, None)
    assert (sent["goods_margin_fen"], sent["goods_lines"], sent["line_margin_fen"]) == (1_000, 1, 1_000)
    assert (idle["goods_margin_fen"], idle["goods_lines"], idle["line_margin_fen"]) == (0, 0, 0)


def test_the_propensity_is_the_chance_to_be_sent_in_both_arms(told):
    assert {name: one["propensity"] for name, one in told[OFFER_OUTCOMES.name].items()} == pytest.approx(
        {"sent": 0.7, "withheld": 0.7, "idle": 0.7}
    )


def test_a_withheld_offer_says_nothing_of_redeeming(told):
    assert {name: one["label"] for name, one in told["redeemed"].items() if name in told["offer"]} == {
        "sent": 1,
        "idle": 0,
    }


def test_the_facts_of_the_offer(told):
    row = told["offer"]["idle"]
    facts = ("face_value_fen", "threshold_fen", "offer_of_one_brand", "offer_price_fen", "offer_margin_fen")
    assert [row[name] for name in facts] == [300, 1_500, 0, 900, 300]
    assert (row["offer_product_count"], row["registration_age_seconds"]) == (1, 864_000)


def test_tables_that_are_missing_are_named(small_task, offers_brand, tmp_path):
    built = build(small_task.redemption, offers_brand, tmp_path)
    bare = type(offers_brand)(
        offers_brand.root, {name: parts for name, parts in offers_brand.files.items() if name != "orders"}
    )
    with pytest.raises(DataError, match="missing orders"):
        read_experiment(small_task, bare, built)

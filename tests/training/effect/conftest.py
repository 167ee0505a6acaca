from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from training.effect.learners import DRLearner, SLearner, TLearner
from training.effect.study import fit_effects
from training.effect.trees import Trees
from training.learner import Binary
from training.tasks.offers import EFFECT, FACE_VALUE, MORE_OFF

START = datetime(2025, 1, 6, tzinfo=UTC)
WAVES = [START + timedelta(days=60 + 20 * wave) for wave in range(3)]
OFFERS = {"cup": ("tea", 300, 1_500), "pack": ("tea", 600, 2_500), "bag": ("rice", 300, 1_000)}
SMALL = Trees({"num_iterations": 20, "num_leaves": 4, "min_data_in_leaf": 20, "learning_rate": 0.1}, bags=1)
RISING = replace(SMALL, more_is_likelier=MORE_OFF)


def write(folder, tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return open_folder(folder)


def line(number, member, at, product, margin, coupon=0):
    return {
        "line_id": f"l{number}",
        "order_id": f"o{number}",
        "member_id": member,
        "ts": at,
        "product_id": product,
        "channel": "pos",
        "quantity": 1,
        "amount_fen": 3 * margin,
        "discount_fen": coupon,
        "coupon_discount_fen": coupon,
        "margin_fen": margin - coupon,
    }


def shop(offers=OFFERS):
    """The tables that do not depend on who buys."""
    return {
        "products": [
            {"product_id": kind, "category": kind, "brand": "own", "price_fen": 900, "margin_fen": 300}
            for kind in ("tea", "rice")
        ],
        "campaigns": [
            {"campaign_id": f"c{wave}", "starts_at": at, "ends_at": at + timedelta(days=14), "time_zone": "UTC"}
            for wave, at in enumerate(WAVES)
        ],
        "offers": [
            {
                "offer_id": name,
                "kind": "category",
                "category": category,
                "face_value_fen": face,
                "threshold_fen": threshold,
                "starts_at": START,
                "ends_at": WAVES[-1] + timedelta(days=20),
            }
            for name, (category, face, threshold) in offers.items()
        ],
    }


def brand(folder):
    """Half of the members buy every week, and redeem on what they would have bought; the rest buy when sent one."""
    draw, members = np.random.default_rng(4), [f"m{number}" for number in range(500)]
    orders, sends, redemptions = [], [], []
    for place, member in enumerate(members):
        regular = place % 2 == 0
        bought = [START + timedelta(days=7 * week, hours=place % 12) for week in range(18)] if regular else [START]
        orders += [line(0, member, at, ("tea", "rice")[place % 4 // 2], int(draw.integers(400, 900))) for at in bought]
        usual = range(len(orders) - len(bought), len(orders))
        for wave, at in enumerate(WAVES):
            offer = str(draw.choice(list(OFFERS)))
            category, face, _ = OFFERS[offer]
            treated = bool(draw.random() < 0.6)
            send = f"{member}-{wave}"
            sends.append(
                {
                    "send_id": send,
                    "ts": at,
                    "member_id": member,
                    "offer_id": offer,
                    "campaign_id": f"c{wave}",
                    "arm": "treated" if treated else "control",
                    "propensity": 0.6 if treated else 0.4,
                }
            )
            if treated and regular and draw.random() < 0.5:
                there = [one for one in usual if orders[one]["ts"] >= at and orders[one]["product_id"] == category][:1]
                for one in there:
                    orders[one] |= {"discount_fen": face, "coupon_discount_fen": face}
                    orders[one]["margin_fen"] -= face
                    redemptions.append({"send_id": send, "ts": orders[one]["ts"], "order_id": None, "place": one})
            elif treated and not regular and draw.random() < 0.4:
                day = at + timedelta(days=3)
                orders.append(line(0, member, day, category, int(draw.integers(1_400, 2_000)), face))
                redemptions.append({"send_id": send, "ts": day, "order_id": None, "place": len(orders) - 1})
    for number, one in enumerate(orders):
        one["line_id"], one["order_id"] = f"l{number}", f"o{number}"
    for one in redemptions:
        one["order_id"] = f"o{one.pop('place')}"
    people = [{"member_id": member, "registered_at": START - timedelta(days=30)} for member in members]
    return write(folder, {**shop(), "members": people, "orders": orders, "sends": sends, "redemptions": redemptions})


@pytest.fixture(scope="session")
def small_task():
    """The task of offers with learners that a test can afford."""
    learner = Binary({"num_iterations": 20, "num_leaves": 4, "min_data_in_leaf": 20}, bags=1, more_is_likelier=MORE_OFF)
    return replace(
        EFFECT,
        redemption=replace(EFFECT.redemption, learner=learner),
        learners={"s": SLearner(RISING, dose=FACE_VALUE), "t": TLearner(RISING)},
        judge=DRLearner(SMALL, folds=2),
        baskets=SMALL,
    )


@pytest.fixture(scope="session")
def offers_brand(tmp_path_factory):
    return brand(tmp_path_factory.mktemp("offers") / "brand")


@pytest.fixture(scope="session")
def fitted_offers(small_task, offers_brand, tmp_path_factory):
    return fit_effects(small_task, offers_brand, home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def offers_tables():
    """What a test needs to write tables of its own: a line, the shop, when waves go out, and the writer."""
    return line, shop, WAVES, write

"""The holdout tells what coupons brought: a known effect is found, and what should not have been sent is counted."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from data.errors import DataError, UsageError
from data.sources import open_folder
from training.holdout_members import Caps, Scope, read_members
from training.holdout_report import difference_of_shares, holdout_report
from training.interval import Interval

START = datetime(2025, 3, 1, tzinfo=UTC)
SCOPE = Scope(START, START + timedelta(days=30))
EFFECT_FEN, FACE_FEN = 300, 200
MEMBERS, HELD_OUT = 1_200, 400
STAMP = pa.timestamp("us", tz="UTC")


def _day(number):
    return START + timedelta(days=float(number))


def _write(folder, margins=True):
    """Members with habits of their own; whoever is sent a coupon uses it, and earns the shop 300 fen more."""
    draw = np.random.default_rng(4)
    names = [f"m{number}" for number in range(MEMBERS)]
    habit = draw.gamma(2.0, 500.0, MEMBERS)
    held_out = set(names[:HELD_OUT])
    orders, sends, used = [], [], []
    for place, name in enumerate(names):
        coupon = name not in held_out
        before, after = (round(value) for value in draw.normal(habit[place], 100.0, 2))
        orders.append((f"{name}-a", name, _day(-10), before, 0, None))
        orders.append(
            (f"{name}-b", name, _day(5), after + coupon * EFFECT_FEN, coupon * FACE_FEN, "o" if coupon else None)
        )
        sends.append((f"{name}-s", name, _day(1), "treated" if coupon else "control", "c" if coupon else "h", 1.0))
        if coupon:
            used.append((f"{name}-s", _day(5), f"{name}-b"))
    line, member, at, margin, paid, offer = zip(*orders, strict=True)
    tables = {
        "members": {
            "member_id": [*names, "late", "gone"],
            "registered_at": pa.array([_day(-90)] * MEMBERS + [_day(2), _day(-90)], STAMP),
            "opted_out": [0] * MEMBERS + [0, 1],
            "city": ["north" if place % 3 else "south" for place in range(MEMBERS)] + [None, None],
        },
        "products": {"product_id": ["p"], "category": ["tea"], "brand": ["own"]},
        "orders": {
            "line_id": line,
            "order_id": line,
            "member_id": member,
            "ts": pa.array(at, STAMP),
            "product_id": ["p"] * len(line),
            "quantity": [1] * len(line),
            "amount_fen": pa.array(
                [max(0, 2 * (one + cut)) - cut for one, cut in zip(margin, paid, strict=True)], pa.int64()
            ),
            "coupon_discount_fen": pa.array(paid, pa.int64()),
            "offer_id": pa.array(offer, pa.string()),
            **({"margin_fen": pa.array(margin, pa.int64())} if margins else {}),
        },
        "offers": {
            "offer_id": ["o"],
            "kind": ["coupon"],
            "face_value_fen": [FACE_FEN],
            "starts_at": pa.array([_day(0)], STAMP),
            "ends_at": pa.array([_day(40)], STAMP),
        },
    }
    columns = ("send_id", "member_id", "ts", "arm", "campaign_id", "propensity")
    sent = dict(zip(columns, map(list, zip(*sends, strict=True)), strict=True))
    tables["sends"] = {**sent, "ts": pa.array(sent["ts"], STAMP), "offer_id": ["o"] * len(sends)}
    send, at, order = zip(*used, strict=True)
    tables["redemptions"] = {"send_id": send, "ts": pa.array(at, STAMP), "order_id": order}
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("brand"))


def _report(folder, scope=SCOPE, **more):
    return holdout_report(open_folder(folder), scope, np.random.default_rng(0), resamples=300, **more)


def _altered(folder, into, name, change):
    """The same tables in another folder, one of them changed."""
    into.mkdir()
    for path in folder.iterdir():
        rows = pq.read_table(path)
        pq.write_table(change(rows) if path.stem == name else rows, into / path.name)
    return into


def test_a_known_effect_is_found_and_adjusting_narrows_it(folder):
    report = _report(folder)
    plain, adjusted = report.gain["margin_fen"], report.gain["margin_adjusted_fen"]
    assert (report.members, report.held_out) == (MEMBERS - HELD_OUT, HELD_OUT)
    for one in (plain, adjusted):
        assert one.value == pytest.approx(EFFECT_FEN, abs=(one.high - one.low))
    assert adjusted.high - adjusted.low < 0.4 * (plain.high - plain.low)
    assert report.gain["cost_fen"].value == pytest.approx(FACE_FEN)
    assert report.gain["roi"].value == pytest.approx(adjusted.value / FACE_FEN)
    assert report.gain["margin_a_send_fen"].value == pytest.approx(adjusted.value)
    assert report.total_margin_fen.value == pytest.approx((MEMBERS - HELD_OUT) * adjusted.value)
    assert report.gain["bought"].value == 0.0
    assert report.gain["bought"].low < 0 < report.gain["bought"].high


def test_the_report_is_read_by_machines_and_people(folder):
    report = _report(folder, replace(SCOPE, caps=Caps(1, 7.0, 3.0)), promised=Interval(250.0, 200.0, 300.0))
    said = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert said["promised"] == {"value": 250.0, "low": 200.0, "high": 300.0}
    assert said["violations"] == {
        "sends": MEMBERS - HELD_OUT,
        "to_opted_out": 0,
        "to_holdout": 0,
        "over_cap": 0,
        "within_cool_down": 0,
    }
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report.table())
    shown = " ".join(console.export_text().split())
    assert "promised a member: 250.000 [200.000, 300.000]" in shown
    assert "0 over the cap" in shown


def test_segments_that_are_served_less_or_lose_are_flagged(folder, tmp_path):
    north = {f"m{number}" for number in range(MEMBERS) if number % 3}

    def unserved(sends):
        keep = [
            not (member in north and arm == "treated" and int(member[1:]) % 2)
            for member, arm in zip(sends["member_id"].to_pylist(), sends["arm"].to_pylist(), strict=True)
        ]
        return sends.filter(pa.array(keep))

    scope = replace(SCOPE, segment="city")
    even = _report(folder, scope)
    assert {name: served.flags for name, served in even.segments.items()} == {"north": (), "south": ()}
    assert sum(served.members for served in even.segments.values()) == even.members
    skewed = _report(_altered(folder, tmp_path / "skewed", "sends", unserved), scope)
    assert skewed.segments["north"].flags == ("underserved",)
    assert skewed.segments["north"].share_served == pytest.approx(0.5, abs=0.02)

    def losing(orders):
        cost = [600 if offer else 0 for offer in orders["offer_id"].to_pylist()]
        margin = np.array(orders["margin_fen"].to_pylist()) - cost
        return orders.set_column(orders.column_names.index("margin_fen"), "margin_fen", pa.array(margin))

    lost = _report(_altered(folder, tmp_path / "lost", "orders", losing), scope)
    assert all(served.flags == ("loses_margin",) for served in lost.segments.values())


def test_sends_that_should_not_have_been_are_counted(folder, tmp_path):
    def more(sends):
        extra = [
            ("x1", "gone", _day(2), "treated"),  # opted out
            ("x2", "m0", _day(2), "treated"),  # of the holdout
            ("x3", f"m{MEMBERS - 1}", _day(3), "treated"),  # two days after the first: the second of seven days
            ("x4", f"m{MEMBERS - 1}", _day(9.5), "treated"),  # the second again
            ("x5", f"m{MEMBERS - 1}", _day(20), "treated"),  # keeps all
            ("x6", f"m{MEMBERS - 2}", _day(-1), "treated"),  # before: counts only for the next
            ("x7", f"m{MEMBERS - 3}", _day(1.5), "control"),  # never sent
        ]
        send, member, at, arm = zip(*extra, strict=True)
        rows = {
            "send_id": send,
            "member_id": member,
            "ts": pa.array(at, STAMP),
            "arm": arm,
            "campaign_id": ["c"] * len(extra),
            "propensity": [0.5] * len(extra),
            "offer_id": ["o"] * len(extra),
        }
        return pa.concat_tables([sends, pa.table(rows).cast(sends.schema)])

    scope = replace(SCOPE, caps=Caps(1, 7.0, 3.0))
    found = _report(_altered(folder, tmp_path / "more", "sends", more), scope).violations
    assert found.sends == MEMBERS - HELD_OUT + 5
    assert (found.to_opted_out, found.to_holdout, found.over_cap, found.within_cool_down) == (1, 1, 3, 2)
    assert found.found() == 7


def test_a_share_of_the_amount_stands_in_for_margins(tmp_path):
    bare = _write(tmp_path / "bare", margins=False)
    with pytest.raises(DataError, match=r"no margin_fen.*give a share"):
        _report(bare)
    report = _report(bare, replace(SCOPE, margin_share=0.5))
    assert report.gain["margin_adjusted_fen"].value == pytest.approx(EFFECT_FEN, abs=35)


def test_the_holdout_is_found_or_named(folder):
    with open_folder(folder).connect() as connection:
        found = read_members(connection, SCOPE)
        named = read_members(connection, replace(SCOPE, holdout_campaign="h"))
        assert (found.held_out == named.held_out).all()
        assert set(found.segment) == {"light"}  # all bought once before the first coupon
        with pytest.raises(DataError, match="found no holdout among 1200 members"):
            read_members(connection, replace(SCOPE, holdout_campaign="c"))
        with pytest.raises(DataError, match="found nothing that was sent"):
            read_members(connection, Scope(_day(20), _day(25)))
        with pytest.raises(UsageError, match="found 'country', expected activity or one of member_id"):
            read_members(connection, replace(SCOPE, segment="country"))
    with pytest.raises(UsageError, match="expected two moments with zone, in order"):
        Scope(_day(2), _day(1))


def test_two_shares_are_held_apart_as_often_as_said():
    draw = np.random.default_rng(7)
    ours, theirs = draw.binomial(400, 0.9, 2_000), draw.binomial(40, 0.9, 2_000)
    found = [difference_of_shares(int(one), 400, int(other), 40) for one, other in zip(ours, theirs, strict=True)]
    assert 0.94 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.985

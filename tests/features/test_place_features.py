"""Place features: the slow and obvious version, and what must not change a row."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from features.distance import degrees_apart_km
from features.huff import Huff
from features.member_heat import member_heat
from features.place import PLACE, PLACE_NAMES, PlaceIndex, PlaceSettings, declared
from features.surroundings import Around
from features.wording import VALUE, sentence_zh

DAY = np.datetime64("2024-06-01")
SORTS = ("supermarket", "convenience_store", "fruit_shop", "metro_exit", "school", "mall", "gym", "bank", "park")
CHAINS = ("own", "other")


def _days(draw, count, first="2023-01-01", span=730):
    return np.datetime64(first) + draw.integers(0, span, count)


def _spread(draw, count, km=5.0):
    return 30 + km / 111 * draw.uniform(-1, 1, count), 104 + km / 96 * draw.uniform(-1, 1, count)


def _world(seed, places=60, stores=9, cells=80):
    draw = np.random.default_rng(seed)
    lat, lon = _spread(draw, cells)
    income = [None if one < 0.2 else float(one) * 1e5 for one in draw.random(cells)]
    grid = {"lat": lat, "lon": lon, "population": draw.uniform(0, 3_000, cells), "income": income}
    grid |= {"cell_id": [f"c{one}" for one in range(cells)], "footfall": draw.uniform(0, 900, cells)}
    lat, lon = _spread(draw, places)
    around = {"place_id": [f"p{one}" for one in range(places)], "lat": lat, "lon": lon}
    around |= {"category": draw.choice(SORTS, places), "opened_on": _days(draw, places)}
    lat, lon = _spread(draw, stores)
    opened = _days(draw, stores, "2022-06-01")
    gone = opened + draw.integers(60, 900, stores)
    closed = pa.array(
        [None if one < 0.6 else day.astype(object) for one, day in zip(draw.random(stores), gone, strict=True)]
    )
    own = {"store_id": [f"s{one}" for one in range(stores)], "lat": lat, "lon": lon, "opened_on": opened}
    own |= {"closed_on": closed.cast(pa.date32()), "chain": [CHAINS[one % 3 == 2] for one in range(stores)]}
    own |= {"area_m2": [None if one % 4 == 0 else 100.0 + 50 * one for one in range(stores)]}
    return {"cells": pa.table(grid), "places": pa.table(around), "stores": pa.table(own)}


SETTINGS = PlaceSettings(chain="own", huff=Huff(0.8, 1.9, floor_m=300.0, elsewhere=20.0))
BARE = PlaceSettings(chain="own", around=Around(300.0, 600.0, 900.0))


def _asked(seed, rows=5):
    return _spread(np.random.default_rng(seed + 1), rows, 4.0)


def _metres(lat, lon, row):
    return float(degrees_apart_km(*(np.float64(one) for one in (lat, lon, row["lat"], row["lon"])))) * 1000


def _oracle(tables, lat, lon, area, left_out=None):
    """Everything again with lists and loops, from the words of the dictionary."""
    near, walk, far, huff = 500.0, 1000.0, 3000.0, SETTINGS.huff
    floors = dict(SETTINGS.rivals)
    day = DAY.astype(object)

    def there(row):
        return (row["opened_on"] is None or row["opened_on"] < day) and (
            row.get("closed_on") is None or day <= row["closed_on"]
        )

    stores = [row for row in tables["stores"].to_pylist() if row["store_id"] != left_out]
    own = [row for row in stores if row["chain"] == "own"]
    others = [{**row, "category": "other", "floor": row["area_m2"] or 300.0} for row in stores if row["chain"] != "own"]
    places = [{**row, "floor": floors.get(row["category"])} for row in tables["places"].to_pylist()] + others
    every_own = [row for row in tables["stores"].to_pylist() if row["chain"] == "own"]
    visible, trading = [row for row in places if there(row)], [row for row in own if there(row)]
    cells = [(row, _metres(lat, lon, row)) for row in tables["cells"].to_pylist()]
    cells = [(row, apart) for row, apart in cells if apart <= far]
    around = [(row, _metres(lat, lon, row)) for row in visible]

    def counted(radius, fits=bool):
        return sum(1 for row, apart in around if apart <= radius and fits(row))

    def nearest(fits):
        return min([far, *(apart for row, apart in around if fits(row))])

    mix = Counter(row["category"] for row, apart in around if apart <= walk)
    total = sum(mix.values())
    earning = [(row, apart) for row, apart in cells if row["income"] is not None]
    weights = [row["population"] * math.exp(-apart / 1000) for row, apart in earning]

    def pull(floor, apart):
        return floor**huff.alpha * (max(apart, huff.floor_m) / 1000) ** -huff.beta

    def drawn(cell, rows):
        apart = [(row, _metres(cell["lat"], cell["lon"], row)) for row in rows]
        return sum(pull(row.get("floor") or row.get("area_m2") or 300.0, one) for row, one in apart if one <= far)

    market = taken = 0.0
    for cell, apart in cells:
        mine, ours = pull(area, apart), drawn(cell, trading)
        rest = ours + drawn(cell, [row for row in visible if row["floor"]]) + huff.elsewhere
        got = cell["population"] * mine / (rest + mine)
        market, taken = market + got, taken + got * ours / rest
    people = sum(row["population"] for row, _ in cells)
    known = [
        row
        for row in visible
        if any(_metres(row["lat"], row["lon"], one) <= 10_000 and one["opened_on"] < day for one in every_own)
    ]
    quality = _jensen(known, visible, trading, (lat, lon), near)
    own_apart = [_metres(lat, lon, row) for row in trading]
    return {
        "population_1000m": sum(row["population"] for row, apart in cells if apart <= walk),
        "population_3000m": people,
        "population_decayed_3000m": sum(row["population"] * math.exp(-apart / 1000) for row, apart in cells),
        "income_mean_3000m": sum(row["income"] * one for (row, _), one in zip(earning, weights, strict=True))
        / sum(weights),
        "footfall_decayed_3000m": sum(row["footfall"] * math.exp(-apart / 500) for row, apart in cells),
        "place_count_500m": counted(near),
        "place_count_1000m": total,
        "place_entropy_1000m": -sum(n / total * math.log(n / total) for n in mix.values()) if total else math.nan,
        "rival_count_500m": counted(near, lambda row: row["floor"]),
        "rival_count_1000m": counted(walk, lambda row: row["floor"]),
        "rival_share_1000m": counted(walk, lambda row: row["floor"]) / total if total else math.nan,
        "rival_nearest_m": nearest(lambda row: row["floor"]),
        "transit_count_500m": counted(near, lambda row: row["category"] == "metro_exit"),
        "transit_nearest_m": nearest(lambda row: row["category"] == "metro_exit"),
        "jensen_quality_500m": quality,
        "own_count_3000m": sum(1 for one in own_apart if one <= far),
        "own_nearest_m": min([10_000.0, *own_apart]),
        "huff_market_people": market,
        "huff_share": market / people,
        "huff_from_own_share": taken / market,
    }


def _jensen(known, visible, trading, spot, near):
    if not trading or not known:
        return math.nan
    usual = {sort: n / len(known) for sort, n in Counter(row["category"] for row in known).items()}
    beside = [
        Counter(row["category"] for row in known if _metres(one["lat"], one["lon"], row) <= near) for one in trading
    ]
    told = [one for one in beside if one]
    here = Counter(row["category"] for row in visible if _metres(*spot, row) <= near)
    quality = 0.0
    for sort, share in usual.items():
        observed = sum(one[sort] / sum(one.values()) for one in told)
        expected = sum(one[sort] for one in beside) / len(trading)
        quality += math.log((observed + share) / ((len(told) + 1) * share)) * (here[sort] - expected)
    return quality


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_features_are_what_the_dictionary_says(seed):
    tables, (lat, lon) = _world(seed), _asked(seed)
    index = PlaceIndex.of(tables, SETTINGS)
    left_out = [None, "s0", None, "s3", None]
    area = np.array([80.0, 200.0, 300.0, 555.0, np.nan])
    found = index.features(lat, lon, DAY, area, left_out)
    assert found.dtype == np.float32
    for row in range(5):
        floor = 300.0 if row == 4 else area[row]
        expected = _oracle(tables, lat[row], lon[row], floor, left_out[row])
        got = dict(zip(index.names, found[row].tolist(), strict=True))
        assert {name: got[name] for name in expected} == pytest.approx(expected, rel=2e-5, abs=1e-4, nan_ok=True)
        assert all(math.isnan(got[name]) for name in got if name not in expected)  # nothing is known of members


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_lies_far_away_or_comes_later_changes_no_bit(seed):
    tables, (lat, lon) = _world(seed), _asked(seed)
    before = PlaceIndex.of(tables, SETTINGS).features(lat, lon, DAY)
    late, far = {"opened_on": DAY.astype(object)}, {"lat": 33.0, "lon": 108.0}
    more = {}
    for name, further in (("places", {"category": "casino"}), ("stores", {"closed_on": None})):
        rows = tables[name].to_pylist()
        first = next(row for row in rows if row.get("chain", "own") == "own")
        extra = [{**first, "store_id": "x1", **late, **further}, {**rows[0], "store_id": "x2", **further}]
        if name == "places":
            extra = [{**extra[0], "lat": lat[0], "lon": lon[0]}, {**extra[1], **far}, {**rows[0], **far}]
        else:
            extra = [{**extra[0], "lat": lat[0], "lon": lon[0]}]
        more[name] = pa.Table.from_pylist([*extra, *rows], schema=tables[name].schema)
    far_cell = pa.Table.from_pylist([{**tables["cells"].to_pylist()[0], **far}], schema=tables["cells"].schema)
    more["cells"] = pa.concat_tables([far_cell, tables["cells"]])
    after = PlaceIndex.of(more, SETTINGS).features(lat, lon, DAY)
    np.testing.assert_array_equal(before, after)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_spot_has_the_same_bits_alone_among_others_and_from_shuffled_tables(seed):
    tables, (lat, lon) = _world(seed), _asked(seed, 30)
    index = PlaceIndex.of(tables, SETTINGS)
    together = index.features(lat, lon, DAY)
    draw = np.random.default_rng(seed)
    shuffled = {name: table.take(draw.permutation(table.num_rows)) for name, table in tables.items()}
    again = PlaceIndex.of(shuffled, SETTINGS)
    for row in draw.integers(0, 30, 4):
        one = slice(row, row + 1)
        np.testing.assert_array_equal(index.features(lat[one], lon[one], DAY), together[one])
        np.testing.assert_array_equal(again.features(lat[one], lon[one], DAY), together[one])
    np.testing.assert_array_equal(index.features(np.repeat(lat[0], 3), np.repeat(lon[0], 3), DAY), together[[0, 0, 0]])


def test_every_row_has_its_own_day():
    tables, (lat, lon) = _world(3), _asked(3)
    index = PlaceIndex.of(tables, SETTINGS)
    days = np.array(["2023-02-01", "2023-09-01", "2024-01-01", "2024-06-01", "2025-06-01"], "datetime64[D]")
    mixed = index.features(lat, lon, days)
    for row, day in enumerate(days):
        np.testing.assert_array_equal(mixed[row], index.features(lat, lon, day)[row])
    count = index.names.index("place_count_1000m")
    counts = [float(index.features(lat, lon, day)[:, count].sum()) for day in days]
    assert counts == sorted(counts)


def test_a_store_counts_from_the_day_after_it_opened_until_it_closed_and_not_for_itself():
    tables = _world(1)
    store = {"store_id": "a", "lat": 30.0, "lon": 104.0, "chain": "own"}
    store |= {"opened_on": date(2024, 1, 10), "closed_on": date(2024, 3, 10)}
    tables["stores"] = pa.table({name: [one] for name, one in store.items()})
    index = PlaceIndex.of(tables, SETTINGS)
    count = index.names.index("own_count_3000m")

    def seen(day, leave_out=None):
        return index.features([30.001], [104.0], np.datetime64(day), leave_out=leave_out)[0, count]

    assert [seen(day) for day in ("2024-01-10", "2024-01-11", "2024-03-10", "2024-03-11")] == [0, 1, 1, 0]
    assert seen("2024-02-01", ["a"]) == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_more_people_are_a_larger_market_and_a_rival_next_door_a_smaller_one(seed):
    tables, (lat, lon) = _world(seed), _asked(seed)
    index = PlaceIndex.of(tables, SETTINGS)
    market = index.names.index("huff_market_people")
    before = index.features(lat, lon, DAY)[:, market]
    people = tables["cells"].column("population").to_numpy() * 2
    doubled = tables["cells"].set_column(tables["cells"].column_names.index("population"), "population", [people])
    np.testing.assert_allclose(
        PlaceIndex.of({**tables, "cells": doubled}, SETTINGS).features(lat, lon, DAY)[:, market], 2 * before, rtol=1e-5
    )
    rival = {"lat": lat[0], "lon": lon[0], "category": "supermarket", "place_id": "x", "opened_on": None}
    rows = [*tables["places"].to_pylist(), rival]
    beside = {**tables, "places": pa.Table.from_pylist(rows, schema=tables["places"].schema)}
    after = PlaceIndex.of(beside, SETTINGS).features(lat, lon, DAY)[:, market]
    assert (after <= before).all()
    assert after[0] < before[0]


def _scans(rows):
    names = ("member_id", "ts", "lat", "lon")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    when = pa.array([np.datetime64(one, "us") for one in columns["ts"]]).cast(pa.timestamp("us", "UTC"))
    return pa.table({**{name: list(columns[name]) for name in names if name != "ts"}, "ts": when})


def test_members_count_where_they_scan_and_money_where_they_last_scanned_before_buying():
    spot, other = (30.0, 104.0), (30.5, 104.0)
    scans = _scans(
        [
            ("ann", "2024-03-01", *spot),
            ("ann", "2024-05-01", *spot),
            ("ben", "2024-05-01T01", *spot),
            ("ben", "2024-05-02", *other),
            ("cat", "2024-05-31", *spot),  # the eve: left out
            (None, "2024-05-01", *spot),
            ("dan", "2024-05-01", None, None),
        ]
    )
    orders = _scans([("ann", "2024-05-03", 0, 0), ("ben", "2024-05-03", 0, 0), ("eve", "2024-05-03", 0, 0)])
    orders = orders.drop(["lat", "lon"]).append_column("amount_fen", [[700, 900, 5]])
    heat = member_heat(scans, orders)
    assert heat.column_names == ["cell", "day", "member", "scans", "spend_fen"]
    assert (heat["scans"].to_numpy().sum(), heat["spend_fen"].to_numpy().sum()) == (5, 1600)
    index = PlaceIndex.of({**_world(1), "heat": heat}, SETTINGS)
    found = dict(zip(index.names, index.features([spot[0]], [spot[1]], DAY)[0].tolist(), strict=True))
    month = 30 / 91  # records begin 91 days before the eve
    assert found["member_count_1000m_365d"] == 2
    assert found["scan_count_1000m_365d"] == pytest.approx(3 * month)
    assert found["active_cells_1000m_365d"] == pytest.approx(2 / 91)
    assert found["spend_fen_3000m_365d"] == pytest.approx(700 * month)
    early = index.features([spot[0]], [spot[1]], np.datetime64("2024-03-20"))[0]
    assert np.isnan(early[index.names.index("member_count_1000m_365d")])


def test_a_purchase_of_the_moment_of_a_scan_does_not_know_it():
    scans = _scans([("ann", "2024-05-01", 30.0, 104.0)])
    orders = _scans([("ann", "2024-05-01", 0, 0)]).append_column("amount_fen", [[700]])
    assert member_heat(scans, orders)["spend_fen"].to_pylist() == [0]
    assert member_heat(scans.slice(0, 0), orders.slice(0, 0)).num_rows == 0


def test_what_no_table_tells_is_null_and_so_is_all_off_the_map():
    tables = _world(2)
    bare = PlaceIndex.of({"cells": tables["cells"]}, SETTINGS)
    (row,) = bare.features([30.0], [104.0], DAY)
    known = {name for name, value in zip(bare.names, row.tolist(), strict=True) if not math.isnan(value)}
    assert known == {
        name for name in bare.names if name.partition("_")[0] in {"population", "income", "footfall", "huff"}
    }
    index = PlaceIndex.of(tables, SETTINGS)
    (off,) = index.features([50.0], [10.0], DAY)
    told = {name: value for name, value in zip(index.names, off.tolist(), strict=True) if not math.isnan(value)}
    assert told["own_nearest_m"] == 10_000
    assert not [name for name in told if name.startswith(("population", "huff"))]


def test_further_numbers_of_the_grid_become_features_and_rings_enter_the_names():
    tables = _world(4)
    jobs = tables["cells"].append_column("jobs", [np.ones(80)]).append_column("city", [["x"] * 80])
    index = PlaceIndex.of({**tables, "cells": jobs}, BARE)
    assert index.names == declared(("jobs",), BARE).names
    assert "jobs_decayed_900m" in index.names
    assert "population_600m" in index.names
    fingerprints = {PlaceIndex.of(tables, one).fingerprint() for one in (SETTINGS, BARE, PlaceSettings(chain="own"))}
    assert len(fingerprints) == 3


def test_there_are_at_most_twenty_five_and_each_says_what_it_is():
    assert PLACE.names == PLACE_NAMES
    assert len(PLACE) <= 25
    for feature in PLACE:
        assert feature.unit
        assert feature.null_rule.startswith("null")
        assert "{" not in feature.meaning + feature.null_rule


def test_everything_wrong_with_the_tables_is_said_at_once():
    tables = _world(5)
    broken = {"places": tables["places"].drop(["category"]), "stores": tables["stores"].drop(["lat", "opened_on"])}
    with pytest.raises(DataError) as caught:
        PlaceIndex.of(broken, SETTINGS)
    for word in ("cells: found no such table", "places.category", "stores.lat", "stores.opened_on"):
        assert word in str(caught.value)
    with pytest.raises(UsageError, match="found other, own"):
        PlaceIndex.of(tables)
    with pytest.raises(UsageError, match="'mine'"):
        PlaceIndex.of(tables, PlaceSettings(chain="mine"))
    with pytest.raises(UsageError, match="widen"):
        Around(500.0, 400.0, 3000.0)


def test_everything_wrong_with_the_rows_is_said_at_once():
    index = PlaceIndex.of(_world(5), SETTINGS)
    with pytest.raises(UsageError) as caught:
        index.features([91.0, 30.0], [104.0, 200.0], np.datetime64("NaT"), [0.0, 1.0])
    for word in ("lat: found 1", "lon: found 1", "as_of: found 2", "area_m2: found 1"):
        assert word in str(caught.value)
    with pytest.raises(UsageError, match="expected one length"):
        index.features([30.0, 30.0], [104.0], DAY)
    with pytest.raises(UsageError, match="found nowhere"):
        index.features([30.0], [104.0], DAY, leave_out=["nowhere"])


@pytest.mark.parametrize("feature", list(PLACE), ids=PLACE_NAMES)
def test_every_place_feature_speaks_chinese(feature):
    assert (sentence_zh(feature) or "").count(VALUE) == 1

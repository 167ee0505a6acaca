"""What a season brought and what members are worth, asked through the command itself."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import shepherd as command_line
from data.errors import DataError, UsageError
from data.world.request import Request
from data.world.simulation import simulate

SEASON = ("--since", "2025-04-01", "--until", "2025-05-02")


@pytest.fixture(scope="module")
def brand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members") / "brand"
    simulate(Request(members=1_500, days=60, seed=3), folder)
    return folder


def _run(*words):
    return CliRunner().invoke(command_line.app, list(map(str, words)))


def _said(*words):
    done = _run(*words, "--json")
    assert done.exception is None, done.exception
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout, parse_constant=pytest.fail)


def test_the_report_of_a_season_is_printed_for_people_and_for_machines(brand, shepherd):
    said = _said("holdout", "--data", brand, *SEASON)
    shown = shepherd("holdout", "--data", brand, *SEASON, COLUMNS="200")

    assert said["members"] > 10 * said["held_out"] > 0
    assert said["gain"]["cost_fen"]["low"] > 0
    assert set(said["segments"]) == {"silent", "light", "heavy", "new"}
    assert said["violations"] == {
        "sends": said["violations"]["sends"], "to_opted_out": 0, "to_holdout": 0, "over_cap": 0, "within_cool_down": 0
    }  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "Coupons from 2025-04-01 to 2025-05-02" in shown.stdout
    assert f"{said['violations']['sends']:,} sends: 0 to members who opted out" in " ".join(shown.stdout.split())


def test_segments_and_caps_are_those_that_are_asked_for(brand):
    said = _said("holdout", "--data", brand, *SEASON, "--segment", "channel", "--most-sends", 0, "--cool-down-days", 90)

    assert said["violations"]["over_cap"] == said["violations"]["sends"] > 0
    assert 0 < said["violations"]["within_cool_down"] < said["violations"]["sends"]
    assert "silent" not in said["segments"]


def test_what_was_promised_stands_beside_what_came(brand, tmp_path):
    runs = [tmp_path / "one.json", tmp_path / "two.json"]
    for path in runs:
        margin = {"value": 900.0, "low": 500.0, "high": 1_300.0}
        held = {"members": 12, "no_offer": {"holdout": 1, "opted_out": 1, "nothing_pays": 3}}
        path.write_text(json.dumps(held | {"expected_margin_fen": margin}))
    promised = [word for path in runs for word in ("--promised", path)]

    said = _said("holdout", "--data", brand, *SEASON, *promised)

    assert said["promised"] == {"value": 180.0, "low": 100.0, "high": 260.0}
    runs[1].write_text('{"members": 1}')
    refused = _run("holdout", "--data", brand, *SEASON, *promised, "--promised", tmp_path / "none.json")
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception).count("found no promise") == 2


def test_a_season_without_a_holdout_is_refused_with_its_remedy(brand, shepherd, tmp_path):
    before = shepherd("holdout", "--data", brand, "--since", "2024-01-01", "--until", "2024-02-01")
    wrong = shepherd("holdout", "--data", brand, "--since", "2025-04-01", "--until", "2025-03-01")
    (tmp_path / "members.csv").write_text("member_id,registered_at\nm1,2025-01-01T00:00:00Z\n")
    lacking = shepherd("holdout", "--data", tmp_path, *SEASON)

    assert before.returncode == lacking.returncode == 3
    assert "hold some members out by lot" in before.stderr
    assert "found no table orders, sends, offers, redemptions" in lacking.stderr
    assert wrong.returncode == 2
    assert "expected two moments with zone, in order" in wrong.stderr


def test_every_buyer_has_a_value_in_the_file(brand, tmp_path):
    said = _said("value", "--data", brand, "--at", "2025-05-02", "--out", tmp_path / "value.parquet", "--days", 90)
    table = pq.read_table(tmp_path / "value.parquet")

    assert said["buyers"] == table.num_rows < said["members"]
    ids = table["member_id"].to_pylist()
    assert ids == sorted(set(ids))
    columns = {name: table[name].to_numpy() for name in table.column_names[1:]}
    assert (columns["purchases_expected_low"] <= columns["purchases_expected"]).all()
    assert (columns["purchases_expected"] <= columns["purchases_expected_high"]).all()
    assert ((columns["chance_alive"] >= 0) & (columns["chance_alive"] <= 1)).all()
    worth = said["margin"] * columns["purchases_expected"] * columns["purchase_fen"]
    assert columns["value_fen"] == pytest.approx(worth)
    assert said["value_fen"] == pytest.approx(columns["value_fen"].sum())
    assert set(said["parameters"]) == {"r", "alpha", "a", "b", "p", "q", "v"}
    assert [path.name for path in tmp_path.iterdir()] == ["value.parquet"]


def test_the_summary_says_parameters_and_a_discount_takes_off(brand, shepherd, tmp_path):
    asked = ("value", "--data", brand, "--at", "2025-05-02", "--out", tmp_path / "value.csv", "--margin", 0.5)
    done = shepherd(*asked)
    plain, less = _said(*asked), _said(*asked, "--discount", 0.2)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^[\d,]+ members who ever bought; [\d,]+ others never bought$", done.stdout, re.MULTILINE)
    assert re.search(r"^purchases \(BG/NBD, in days\): r \d.*alpha .* a .* b ", done.stdout, re.MULTILINE)
    assert "(50.0% of what is paid, as given)" in done.stdout
    assert 0.7 * plain["value_fen"] < less["value_fen"] < plain["value_fen"]


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("--at", "2025-03-04"), DataError, "expected 28 at least"),
        (("--at", "2025-01-01"), DataError, "choose a later moment"),
        (("--days", "0", "--margin", "2"), UsageError, "days ahead: found 0.0.*margin: found 2.0"),
    ],
)
def test_values_that_cannot_be_told_are_refused_and_nothing_is_written(brand, tmp_path, words, kind, message):
    done = _run("value", "--data", brand, "--out", tmp_path / "value.parquet", *words)

    assert isinstance(done.exception, kind)
    assert re.search(message, str(done.exception))
    assert list(tmp_path.iterdir()) == []


def test_without_margins_a_share_has_to_be_given(tmp_path):
    (tmp_path / "orders.csv").write_text(
        "line_id,order_id,ts,member_id,channel,product_id,quantity,amount_fen,discount_fen\n"
        + "".join(f"l{n},o{n},2025-0{1 + n % 5}-0{1 + n % 9}T09:00:00Z,m{n % 30},pos,p1,1,300,0\n" for n in range(90))
    )

    done = _run("value", "--data", tmp_path, "--at", "2025-06-01", "--out", tmp_path / "value.csv")

    assert isinstance(done.exception, DataError)
    assert "give a share with --margin" in str(done.exception)

"""Which offer a member gets: live, for many at once, and for an audience at night; all three say the same."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import shepherd as command_line
from data.errors import DataError, UsageError
from data.sources import open_folder
from features.audience import desk
from features.audience.library import Library
from features.audience.parser import parse
from serving.allocation.policy import BUDGET, OfferPolicy, read_prices, write_prices
from serving.allocation.prices import OfferTerms, ShadowPrices
from serving.allocation.rules import Limits, OfferRules
from serving.app import create_app
from serving.bundle import point, read
from serving.offer_batch import allocate
from serving.offer_decisions import Decider, policy_of
from serving.settings import read_settings
from tests.serving.test_api import Client, problems
from tests.training.effect.conftest import WAVES, brand, small_task  # noqa: F401 - a fixture, asked for by name
from training.effect.release import release_effects
from training.effect.study import fit_effects

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "coupons.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(sh)?\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
BLOCKS = [block for shell, block in FENCED if not shell]  # the others are one walk, with tables of their own
AT = WAVES[2]
OPTED_OUT, HELD_OUT, JUST_SENT, BOTH = "m1", "m2", "m3", "m4"


def _changed(folder, name, change):
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(change(pq.read_table(path).to_pylist())), path)


def _sent(member, at, campaign, arm, propensity):
    return {
        "send_id": f"extra-{member}",
        "ts": at,
        "member_id": member,
        "offer_id": "cup",
        "campaign_id": campaign,
        "arm": arm,
        "propensity": propensity,
    }


def _members(rows):
    wanting = {OPTED_OUT: 1, BOTH: 1}
    return [{**one, "opted_out": wanting.get(one["member_id"], 0), "city": "Chengdu"} for one in rows]


def _sends(rows):
    held = [_sent(HELD_OUT, WAVES[0], "hold", "control", 1.0)]
    return [*rows, *held, *(_sent(one, AT - timedelta(days=2), "c1", "treated", 1.0) for one in (JUST_SENT, BOTH))]


def _campaigns(rows):
    return [*rows, {**rows[0], "campaign_id": "hold", "ends_at": AT + timedelta(days=30)}]


@pytest.fixture(scope="module")
def place(small_task, tmp_path_factory):  # noqa: F811 - the fixture
    """A folder as the page assumes it: the brand's tables, a champion of the task offers, a saved audience."""
    folder = tmp_path_factory.mktemp("coupons")
    tables = folder / "var" / "brand"
    brand(tables)
    for name, change in (("members", _members), ("sends", _sends), ("campaigns", _campaigns)):
        _changed(tables, name, change)
    home, data_set = folder / "var", open_folder(tables)
    fitted = fit_effects(small_task, data_set, home=folder / "built")
    release_effects(home / "bundles", fitted, version="v1", data_hash="0" * 64, generator=np.random.default_rng(1))
    point(home / "bundles", "offers", "champion", "v1")
    library = Library(home / "audiences")
    library.save("tea-lovers", parse('bought(category="tea", within=90d)'), "")
    library.save("uncounted", parse("everybody"), "")
    desk.refresh(library, ["tea-lovers"], data_set, AT)
    return SimpleNamespace(folder=folder, home=home, tables=tables, fitted=fitted, library=library)


def _offers(place, out, *words):
    asked = ["offers", "--data", str(place.tables), "--home", str(place.home), "--at", AT.isoformat()]
    with pytest.MonkeyPatch.context() as here:
        here.chdir(place.folder)
        done = CliRunner().invoke(command_line.app, [*asked, "--out", str(out), *words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def night(place):
    """Everybody, within an exact budget."""
    out = place.folder / "night.parquet"
    said = json.loads(_offers(place, out, "--budget", "9000", "--json"))
    return SimpleNamespace(said=said, table=pq.read_table(out).to_pylist(), out=out)


def _service(place, rows, prices=None):
    with pytest.MonkeyPatch.context() as here:
        here.setenv("SHEPHERD_OFFERS", str(rows))
        if prices is not None:
            here.setenv("SHEPHERD_PRICES", str(prices))
        return create_app(read_settings(place.home))


@pytest.fixture(scope="module")
def client(place, night):
    """The service at the night's prices."""
    with Client(_service(place, night.said["rows"], night.said["price_file"])) as opened:
        yield opened


def _ask(client, member, **body):
    return client.post(f"/v1/members/{member}/offers", json={"at": AT.isoformat(), **body})


def _batch(client, **body):
    return client.post("/v1/coupon/batch", json={"at": AT.isoformat(), **body})


def _lines(response):
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.content.splitlines()]


def _sent_of(answer):
    sent = [offer for offer in answer["offers"] if offer["action"] == "send"]
    assert len(sent) <= 1
    return (sent[0]["offer_id"], sent[0]["campaign_id"]) if sent else (None, None)


def test_a_decision_says_what_is_sent_and_what_it_rests_on(client, night):
    member = next(row["member_id"] for row in night.table if row["action"] == "send" and row["score_fen"] > 1)
    answer = _ask(client, member).json()

    assert answer["model"]["task"] == "offers"
    assert answer["policy"] == {
        "fingerprint": night.said["policy"],
        "budgets": night.said["prices"],
        "caution": 1.0,
    }
    assert answer["no_offer"] is None
    assert answer["offers"][0]["action"] == "send"
    for offer in answer["offers"]:
        margin, price = offer["expected_margin_fen"], night.said["prices"][BUDGET]
        assert margin["lower"] < margin["mean"]
        assert offer["score_fen"] == pytest.approx(margin["lower"] - price * offer["expected_cost_fen"])
        assert offer["reasons"][0]["sentence"]
        assert offer["expected_cost_fen"] == pytest.approx(
            offer["redemption_probability"] * {"cup": 300, "pack": 600, "bag": 300}[offer["offer_id"]]
        )
    scores = [offer["score_fen"] for offer in answer["offers"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0


def test_online_is_batch(place, client, night):
    members = [row["member_id"] for row in night.table]
    live = {one["member_id"]: _sent_of(one) for one in _lines(_batch(client, members=members))}
    differing = [row for row in night.table if live[row["member_id"]] != (row["offer_id"], row["campaign_id"])]

    assert len(members) == 500
    assert len(differing) == night.said["mended"] < 25
    decider = Decider.of(
        read(place.home / "bundles" / "offers" / "v1"),
        Path(night.said["rows"]),
        policy=_bundled(place).priced(read_prices(Path(night.said["price_file"]))),
    )
    table = allocate(decider, members, AT).table().to_pylist()
    assert {row["member_id"]: (row["offer_id"], row["campaign_id"]) for row in table} == live
    assert sum(one != (None, None) for one in live.values()) > 30


def test_at_the_bundle_s_own_prices_live_and_batch_agree_for_everybody(place):
    out = place.folder / "known.csv"
    said = json.loads(_offers(place, out, "--json"))
    table = pa_csv.read_csv(out, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True)).to_pylist()
    with Client(_service(place, said["rows"])) as client:
        live = _lines(_batch(client, members=[row["member_id"] for row in table]))

    assert said["prices"] == {BUDGET: _bundled(place).prices.budgets[BUDGET]}
    assert said["budget_fen"] is None
    for row, answer in zip(table, live, strict=True):
        assert _sent_of(answer) == (row["offer_id"], row["campaign_id"])
        assert (answer["no_offer"] or {"code": None})["code"] == row["no_offer"]
        if row["action"] == "send":
            best = answer["offers"][0]
            assert best["expected_margin_fen"]["lower"] == row["expected_margin_lower_fen"]
            assert best["score_fen"] == row["score_fen"]


def test_the_budget_holds_and_the_sums_are_those_of_the_rows(night):
    sent = [row for row in night.table if row["action"] == "send"]

    assert night.said["members"] == 500
    assert night.said["offers"] == 3
    assert night.said["sends"] == len(sent)
    assert 8_500 < night.said["spend_fen"] <= 9_000
    assert night.said["spend_fen"] == pytest.approx(sum(row["expected_cost_fen"] for row in sent))
    margin = night.said["expected_margin_fen"]
    assert margin["low"] < margin["value"] < margin["high"]
    assert margin["value"] == pytest.approx(sum(row["expected_margin_fen"] for row in sent))
    assert night.said["counted_on_fen"] == pytest.approx(sum(row["expected_margin_lower_fen"] for row in sent))
    assert night.said["gap"] < 0.01
    assert sum(night.said["no_offer"].values()) == 500 - len(sent)
    assert night.said["ruled_out"]["OPTED_OUT"] == 3 * 2
    assert night.said["ruled_out"]["HOLDOUT"] == 3
    assert night.said["ruled_out"]["SENT_LATELY"] == 3 * 2
    assert night.said["unknown"] == {"FRAUD_RISK": 500}


def _codes(answer):
    return {one["offer_id"]: [reason["code"] for reason in one["reasons"]] for one in answer["ruled_out"]}


@pytest.mark.parametrize(
    ("member", "code", "rule"), [(OPTED_OUT, "opted_out", "OPTED_OUT"), (HELD_OUT, "holdout", "HOLDOUT")]
)
def test_who_may_not_be_asked_gets_nothing_and_it_is_said_why(client, member, code, rule):
    answer = _ask(client, member).json()

    assert answer["offers"] == []
    assert answer["no_offer"]["code"] == code
    assert answer["no_offer"]["reason"]
    assert re.search(r"[\u4e00-\u9fff]", answer["no_offer"]["reason_zh"])
    assert set(_codes(answer)) == {"cup", "pack", "bag"}
    assert all(rule in codes for codes in _codes(answer).values())


def test_every_reason_is_said(client):
    answer = _ask(client, BOTH).json()

    assert all({"OPTED_OUT", "SENT_LATELY"} <= set(codes) for codes in _codes(answer).values())
    (lately,) = [one for one in answer["ruled_out"][0]["reasons"] if one["code"] == "SENT_LATELY"]
    assert (lately["found"], lately["limit"]) == (2.0, 3.0)
    assert lately["sentence"] == "The last offer was sent 2 days ago; 3 days have to pass."
    assert lately["sentence_zh"].startswith("距上次发券仅 2 天")


def test_days_are_counted_on_to_the_moment_of_the_question(client):
    codes = _codes(_ask(client, JUST_SENT).json())
    later = _codes(_ask(client, JUST_SENT, at=(AT + timedelta(days=1)).isoformat()).json())

    assert all("SENT_LATELY" in each for each in codes.values())
    assert len(codes) == 3
    assert not any("SENT_LATELY" in each for each in later.values())


def test_what_is_not_known_is_said_and_rules_nothing_out(client):
    (unknown,) = _ask(client, "m10").json()["unknown"]

    assert unknown["code"] == "FRAUD_RISK"
    assert "fraud_probability is not known" in unknown["sentence"]
    assert "未知" in unknown["sentence_zh"]


def test_a_risk_that_is_known_rules_out(place):
    risky = place.folder / "risk.csv"
    risky.write_text(
        "member_id,fraud_probability\n" + "".join(f"m{n},{0.9 if n == 10 else 0.01}\n" for n in range(499))
    )
    out = place.folder / "judged.parquet"
    said = json.loads(_offers(place, out, "--fraud", str(risky), "--json"))
    table = {row["member_id"]: row["no_offer"] for row in pq.read_table(out).to_pylist()}

    assert said["unknown"] == {}
    assert table["m10"] == "fraud_risk"
    assert table["m499"] == "fraud_risk"  # asked about, and nobody could say
    assert said["ruled_out"]["FRAUD_RISK"] == 6
    risky.write_text("member_id,fraud_probability\nm1,0.1\nm1,0.2\n")
    with pytest.raises(DataError, match="found a member twice"):
        _offers(place, out, "--fraud", str(risky))
    risky.write_text("member_id,chance\nm1,0.1\n")
    with pytest.raises(DataError, match="expected both columns"):
        _offers(place, out, "--fraud", str(risky))


def test_a_face_above_what_a_basket_earns_is_ruled_out(client, night):
    answers = _lines(_batch(client, members=[row["member_id"] for row in night.table]))
    faces = [(one, each) for one in answers for each in one["ruled_out"] if "FACE_ABOVE_MARGIN" in str(each)]

    assert 0 < len(faces) < 3 * 500
    for _, each in faces:
        (reason,) = [reason for reason in each["reasons"] if reason["code"] == "FACE_ABOVE_MARGIN"]
        assert reason["found"] > reason["limit"]


def test_nothing_that_pays_is_an_answer_and_names_what_was_looked_at(client, night):
    member = next(row["member_id"] for row in night.table if row["no_offer"] == "nothing_pays")
    answer = _ask(client, member).json()

    assert answer["no_offer"]["code"] == "nothing_pays"
    assert {offer["action"] for offer in answer["offers"]} == {"skip"}
    assert all(offer["score_fen"] <= 0 for offer in answer["offers"])
    assert f"None of {len(answer['offers'])} offers" in answer["no_offer"]["reason"]


def test_nothing_running_is_an_answer_too(client):
    answer = _ask(client, "m10", at="2026-01-01T00:00:00Z").json()

    assert answer["no_offer"]["code"] == "no_running_campaign"
    assert (answer["offers"], answer["ruled_out"], answer["unknown"]) == ([], [], [])


def test_the_same_question_gives_the_same_bytes(client):
    assert _ask(client, "m10").content == _ask(client, "m10").content
    assert _ask(client, "m10").json()["decision_id"] != _ask(client, "m11").json()["decision_id"]
    assert len(_ask(client, "m10", limit=1).json()["offers"]) <= 1


def test_a_line_of_a_batch_is_the_answer_about_one(client):
    lines = _lines(_batch(client, members=["m10", "nobody", "m10", OPTED_OUT]))

    assert lines[0] == lines[2] == _ask(client, "m10").json()
    assert lines[3] == _ask(client, OPTED_OUT).json()
    assert lines[1]["member_id"] == "nobody"
    assert lines[1]["no_offer"]["code"] == "unknown_member"
    response = _ask(client, "nobody")
    assert response.status_code == 404
    assert response.json()["error"]["what"] == "This member is not known."


def test_an_audience_is_walked_in_parts(place, client):
    found = place.library.get("tea-lovers")
    whole = _lines(_batch(client, audience="tea-lovers"))
    parts = [
        _lines(_batch(client, audience="tea-lovers", offset=start, count=100)) for start in (0, 100, 200, 300, 400)
    ]

    assert found.name == "tea-lovers"
    assert 100 < len(whole) < 500
    assert [one for part in parts for one in part] == whole
    assert [one["member_id"] for one in whole] == sorted(one["member_id"] for one in whole)


@pytest.mark.parametrize(
    ("body", "where", "status"),
    [
        ({}, "body", 422),
        ({"members": ["m1"], "audience": "tea-lovers"}, "body", 422),
        ({"members": []}, "body.members", 422),
        ({"members": ["m"] * 1001}, "body.members", 422),
        ({"members": ["m1", ""]}, "body.members.1", 422),
        ({"members": ["m1", 1]}, "body.members.1", 422),
        ({"members": "m1"}, "body.members", 422),
        ({"members": ["m1"], "at": "now"}, "body.at", 422),
        ({"members": ["m1"], "limit": 0}, "body.limit", 422),
        ({"members": ["m1"], "budget": 1}, "body.budget", 422),
        ({"audience": "tea-lovers", "count": 1001}, "body.count", 422),
        ({"audience": "nobody"}, "body.audience", 404),
        ({"audience": "../../etc"}, "body.audience", 404),
        ({"audience": "uncounted"}, "body.audience", 409),
    ],
)
def test_what_is_no_question_about_many_is_refused(client, body, where, status):
    response = client.post("/v1/coupon/batch", json=body)

    assert response.status_code == status
    assert [problem["where"] for problem in problems(response)] == [where]
    assert "etc" not in response.text


def test_a_body_that_is_no_json_is_refused(client):
    response = client.post("/v1/coupon/batch", content=b"{", headers={"content-type": "application/json"})

    assert response.status_code == 422
    assert problems(response)[0]["found"] == "text that is no JSON"


def test_rows_of_features_are_still_taken_where_redemption_is_served(settings):
    line = {"member_redemption_count": 5, "member_basket_since": 60, "member_discount_share": None}
    with Client(create_app(settings)) as client:
        (row,) = _lines(client.post("/v1/coupon/batch", content=json.dumps(line).encode()))
        many = _lines(client.post("/v1/coupon/batch", json={"members": ["1029", "4711"], "at": "2017-12-10T12:00:00Z"}))
        one = client.post("/v1/members/1029/offers", json={"at": "2017-12-10T12:00:00Z"}).json()

    assert set(row) == {"probability", "action", "expected_value_fen", "lot", "reasons"}
    assert many[0] == one
    assert many[1]["no_offer"]["code"] == "unknown_member"


def test_before_the_start_no_batch_is_answered(place, night):
    unstarted = Client(_service(place, night.said["rows"]))
    response = _batch(unstarted, members=["m1"])
    unstarted.close()

    assert response.status_code == 503


def test_prices_that_cannot_be_read_keep_the_service_from_being_ready(place, night):
    missing = place.folder / "no-prices.json"
    with Client(_service(place, night.said["rows"], missing)) as client:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert "found none that can be read" in problems(response)[0]["found"]


def test_the_openapi_page_shows_both_answers_and_the_question_about_many(client):
    page = client.get("/openapi.json").json()
    answer = page["paths"]["/v1/members/{member_id}/offers"]["post"]["responses"]["200"]["content"]
    batch = page["paths"]["/v1/coupon/batch"]["post"]

    assert {one["$ref"].rsplit("/")[-1] for one in answer["application/json"]["schema"]["anyOf"]} == {
        "OffersAnswer",
        "DecisionAnswer",
    }
    at_the_gate = {"400", "401", "403", "429"}
    assert set(batch["responses"]) == {"200", "404", "409", "413", "422", "503"} | at_the_gate
    schema = batch["requestBody"]["content"]["application/json"]["schema"]
    assert {"members", "audience", "at"} <= set(schema["properties"])


def _bundled(place):
    return policy_of(read(place.home / "bundles" / "offers" / "v1").manifest.effects)


def test_the_bundle_carries_the_price_of_its_budget(place):
    policy, record = _bundled(place), place.fitted.record

    assert policy.limits == Limits()
    assert policy.prices.budgets[BUDGET] == pytest.approx(record.price, rel=0.02)
    assert policy.found.rows == len(place.fitted.test)
    assert policy.found.spend_fen <= policy.found.budget_fen
    assert policy.found.gap < 0.02
    assert policy.found.value_fen > 0
    assert policy.priced(policy.prices).fingerprint == policy.fingerprint
    assert policy.priced(ShadowPrices({BUDGET: 9.0}, ())).fingerprint != policy.fingerprint


def test_rules_and_stock_of_an_offer_hold_in_the_batch_as_live(place, night):
    bundle, rows = read(place.home / "bundles" / "offers" / "v1"), Path(night.said["rows"])
    over = OfferRules("cup", 300.0, AT - timedelta(days=30), AT - timedelta(days=1))
    far = OfferRules("pack", 600.0, AT - timedelta(days=30), AT + timedelta(days=30), regions=("Wuhan",))
    few = OfferRules("bag", 300.0, AT - timedelta(days=30), AT + timedelta(days=30), pieces_left=7.0)
    policy = OfferPolicy(prices=ShadowPrices({BUDGET: 0.0}, ()), offers=(over, far, few))
    members = [row["member_id"] for row in night.table]
    found = allocate(Decider.of(bundle, rows, policy=policy), members, AT, 1e9)
    told = found.as_dict()

    assert told["sends"] == 7
    assert told["ruled_out"]["OUTSIDE_WINDOW"] == told["ruled_out"]["OTHER_REGION"] == 500
    assert {row["offer_id"] for row in found.table().to_pylist()} == {"bag", None}
    (terms,) = found.prices.offers
    assert (terms.offer, terms.counted) == ("bag", "send")
    assert terms.stock_fen > 0
    live = Decider.of(bundle, rows, policy=policy.priced(found.prices)).decide(members, AT)
    assert abs(int((live.choice >= 0).sum()) - 7) <= told["mended"]


def test_several_budgets_are_not_one_number(place, night):
    prices = ShadowPrices({BUDGET: 0.1, "brand": 0.2}, (OfferTerms("cup", "brand"),))
    bundle, rows = read(place.home / "bundles" / "offers" / "v1"), Path(night.said["rows"])
    decider = Decider.of(bundle, rows, policy=OfferPolicy(prices=prices))

    with pytest.raises(UsageError, match="found the budgets brand"):
        allocate(decider, ["m10"], AT, 100.0)
    assert allocate(decider, ["m10"], AT).prices == prices
    with pytest.raises(UsageError, match="found the budget 'offers'"):
        OfferPolicy(prices=ShadowPrices({"brand": 0.1}, ()))


def test_prices_are_written_as_they_are_read(tmp_path):
    prices = ShadowPrices({BUDGET: 0.25}, (OfferTerms("cup", BUDGET, 3.0),))
    write_prices(prices, tmp_path / "prices.json")

    assert read_prices(tmp_path / "prices.json") == prices
    assert [path.name for path in tmp_path.iterdir()] == ["prices.json"]
    (tmp_path / "prices.json").write_text('{"budgets": {"offers": -1}, "offers": []}')
    with pytest.raises(DataError, match="expected a finite number, 0 or more"):
        read_prices(tmp_path / "prices.json")


@pytest.mark.parametrize(
    ("words", "refusal", "message"),
    [
        (["--at", "2020-01-01"], DataError, "found nobody who had registered"),
        (["--campaign", "c9"], DataError, "found none, expected offers, and 'c9' running"),
        (["--pointer", "challenger"], DataError, "found no such file"),
        (["--audience", "nobody"], UsageError, "nobody"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_leaves_nothing(place, tmp_path, words, refusal, message):
    with pytest.raises(refusal, match=message):
        _offers(place, tmp_path / "out.parquet", *words)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_refused(place, tmp_path):
    with pytest.raises(UsageError, match=r"expected \.parquet or \.csv"):
        _offers(place, tmp_path / "out.xlsx")


def test_a_campaign_that_is_named_is_the_one_they_go_out_in(place, night):
    out = place.folder / "held.parquet"
    said = json.loads(_offers(place, out, "--campaign", "hold", "--budget", "9000", "--json"))

    assert {row["campaign_id"] for row in pq.read_table(out).to_pylist()} == {"hold", None}
    assert said["spend_fen"] == night.said["spend_fen"]


def test_no_route_loads_the_solver():
    script = "import sys, serving.app; print(*(name for name in sys.modules if name.startswith('serving.allocation')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - ours

    assert set(done.stdout.split()) == {
        "serving.allocation",
        *(f"serving.allocation.{one}" for one in ("guardrails", "policy", "prices", "rules", "rulings")),
    }


def _of_page(start):
    return [line for block in BLOCKS for line in block.splitlines() if line.startswith(start)]


def test_the_commands_of_the_page_run_as_shown(place):
    lines = [line for line in _of_page("shepherd offers") if line]

    assert len(lines) >= 2
    with pytest.MonkeyPatch.context() as here:
        here.chdir(place.folder)
        for line in lines:
            done = CliRunner().invoke(command_line.app, shlex.split(line, comments=True)[1:])
            assert done.exception is None, (line, done.exception)
            assert "members, 3 offers" in done.stdout or json.loads(done.stdout)["members"]


def test_the_questions_of_the_page_are_answered(client):
    lines = [shlex.split(line) for line in _of_page("curl")]

    assert {line[2].partition(":8000")[2] for line in lines} == {"/v1/members/m10/offers", "/v1/coupon/batch"}
    for words in lines:
        body = words[words.index("-d") + 1]
        response = client.post(
            words[2].partition(":8000")[2], content=body.encode(), headers={"content-type": "application/json"}
        )
        assert response.status_code == 200, response.text
        assert all(json.loads(line)["policy"] for line in response.content.splitlines())

from __future__ import annotations

import asyncio
import json

import httpx
import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from serving.api import _loaded
from serving.app import create_app, load
from serving.bundle import point, read, resolve
from serving.holdout import Holdout, Lottery, draw
from serving.payoff import Prices
from serving.rows import MOST_ROWS, RowsRefused, answer_rows
from serving.scorer import Scorer
from tests.serving.conftest import NAMES, declared, moment, rows
from training.calibrate import Sigmoid
from training.export import export
from training.scan_costs import ScanCosts

KEY = bytes(range(32))
LOTTERY = Lottery(Holdout(0.3, "city", {"calm": 0.0}), KEY)


@pytest.fixture(scope="module")
def scorer(home):
    return Scorer(read(resolve(home / "bundles", "coupon", "champion")))


def _lines(matrix):
    values = ([None if np.isnan(value) else float(value) for value in row] for row in matrix)
    return "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in values).encode()


def _post(app_settings, task, body):
    async def asked():
        app = create_app(app_settings)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
                return await client.post(f"/v1/{task}/batch", content=body)

    return asyncio.run(asked())


def test_every_row_gets_the_answer_it_would_get_alone(scorer):
    matrix = rows(60)
    answers = [json.loads(line) for line in answer_rows(scorer, _lines(matrix)).splitlines()]
    assert [answer["probability"] for answer in answers] == scorer.probability(matrix).tolist()
    for row, answer in zip(matrix, answers, strict=True):
        assert json.loads(answer_rows(scorer, _lines(row[None]))) == answer
    assert {answer["action"] for answer in answers} == {"none", "send"}


def test_a_batch_over_http_is_json_lines_in_and_out(settings):
    reply = _post(settings, "coupon", _lines(rows(3)))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-ndjson")
    assert len(reply.text.splitlines()) == 3


def test_all_problems_of_all_lines_are_named_at_once_and_nothing_is_scored(settings):
    good = json.loads(_lines(rows(1)))
    lines = [
        good,
        {**good, NAMES[0]: "many"},
        {name: value for name, value in good.items() if name != NAMES[1]},
        {**good, "password": 1},
        {**good, NAMES[2]: 1e300},
        [1, 2],
    ]
    reply = _post(settings, "coupon", "\n".join(map(json.dumps, lines)))
    assert reply.status_code == 422
    problems = reply.json()["error"]["problems"]
    assert [problem["where"] for problem in problems] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    assert problems[1]["found"] == "1 features missing"
    assert problems[1]["expected"] == NAMES[1]
    assert "password" not in reply.text


@pytest.mark.parametrize(("body", "found"), [(b"", "0 lines"), (b"{}\n" * (MOST_ROWS + 1), f"{MOST_ROWS + 1} lines")])
def test_too_few_and_too_many_rows_are_refused(scorer, body, found):
    with pytest.raises(RowsRefused) as refused:
        answer_rows(scorer, body)
    assert refused.value.problems[0].found == found


def test_a_task_without_a_model_is_not_found_and_not_echoed(settings):
    reply = _post(settings, "secret-task", b"{}")
    assert reply.status_code == 404
    assert "secret" not in reply.text


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_body_breaks_it(home, body):
    scorer = Scorer(read(resolve(home / "bundles", "coupon", "champion")))
    with pytest.raises(RowsRefused):
        answer_rows(scorer, body)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model of the same features whose actions hang on a prize, under a cap with a price for one campaign."""
    features = rows()
    label = (np.nan_to_num(features[:, 0]) + np.random.default_rng(4).normal(size=len(features)) > 4.5).astype(float)
    booster = lgb.train(
        {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "deterministic": True},
        lgb.Dataset(features, label),
        20,
    )
    return export(
        tmp_path_factory.mktemp("scans"),
        task="fraud",
        version="v1",
        booster=booster,
        calibrator=Sigmoid(),
        features=declared(),
        payoff=ScanCosts(harmed_rates={"strict": 0.0001}).payoff(),
        prices=Prices(0.0, {"strict": 1e9}),
        usual=np.array([1.0, 86_400.0, np.nan]),
        holdout=Holdout(0.3, "city", {"calm": 0.0}),
        rows=features,
        data_hash="0" * 64,
        metrics={},
        generator=np.random.default_rng(5),
        created=moment(12, 1),
    )


@pytest.fixture(scope="module")
def scans(exported):
    return Scorer(exported)


def _scan(prize, campaign, redemptions=7):
    row = {NAMES[0]: redemptions, NAMES[1]: 3_600, NAMES[2]: 0.3, "prize_fen": prize, "campaign_id": campaign}
    return json.dumps(row).encode()


def test_a_row_is_judged_by_its_prize_and_the_price_of_its_campaign(scans):
    lines = [_scan(0, None), _scan(5_000, "open"), _scan(5_000, "strict"), _scan(5_000, None, redemptions=0)]

    answers = [json.loads(line) for line in answer_rows(scans, b"\n".join(lines)).splitlines()]

    assert answers[0]["probability"] == answers[1]["probability"] == answers[2]["probability"] > 0.9
    assert [answer["action"] for answer in answers] == ["pay", "block", "reduce", "pay"]
    assert answers[1]["expected_value_fen"] == pytest.approx(-6_500 * (1 - answers[1]["probability"]))
    assert "; usual is 1; " in answers[1]["reasons"][0]["sentence"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (_scan(None, "open"), "no amount at stake"),
        (_scan(-1, "open"), "no amount at stake"),
        (_scan("5", "open"), "text"),
        (_scan(5, 7), "a number"),
        (_scan(5, "open", redemptions="7"), "text"),
        (b'{"prize_fen": 5}', "4 features missing"),
    ],
)
def test_a_row_without_what_the_pay_off_asks_is_refused(scans, line, found):
    with pytest.raises(RowsRefused) as refused:
        answer_rows(scans, line)
    assert [problem.found for problem in refused.value.problems] == [found]


def _of_decision(number, city="town", **changes):
    row = json.loads(_scan(5_000, "open", redemptions=7 * (number % 2)))
    return json.dumps(row | {"decision_id": f"scan-{number}", "city": city} | changes)


def test_the_lot_lets_some_rows_through_and_the_answer_says_what_was_meant(scans):
    numbers = range(400)
    body = "\n".join(_of_decision(number, None if number % 3 else "town") for number in numbers).encode()

    answers = [json.loads(line) for line in answer_rows(scans, body, LOTTERY).splitlines()]

    actions = scans.manifest.payoff.actions
    ids = [f"scan-{number}" for number in numbers]
    meant = np.array([actions.index("block" if number % 2 else "pay") for number in numbers])
    drawn = draw(ids, meant, np.full(400, 0.3), KEY)
    lots = [answer["lot"] for answer in answers]
    assert [lot["decision_id"] for lot in lots] == ids
    assert [lot["meant"] for lot in lots] == [actions[one] for one in meant]
    assert [lot["allowed_at_random"] for lot in lots] == drawn.allowed_at_random.tolist()
    assert [lot["propensity"] for lot in lots] == drawn.propensity.tolist()
    assert {lot["share"] for lot in lots} == {0.3}
    assert [answer["action"] for answer in answers] == [actions[one] for one in drawn.action]
    assert {(lot["meant"], answer["action"]) for lot, answer in zip(lots, answers, strict=True)} == {
        ("pay", "pay"),
        ("block", "block"),
        ("block", "pay"),
    }


def test_a_group_may_have_a_share_of_its_own(scans):
    body = "\n".join(_of_decision(number, "calm") for number in range(100)).encode()

    answers = [json.loads(line) for line in answer_rows(scans, body, LOTTERY).splitlines()]

    assert not any(answer["lot"]["allowed_at_random"] for answer in answers)
    assert all(answer["lot"]["meant"] == answer["action"] for answer in answers)
    assert {(answer["lot"]["share"], answer["lot"]["propensity"]) for answer in answers} == {(0.0, 1.0)}


def test_without_a_key_nothing_is_drawn_and_the_answer_says_so(scans):
    assert Lottery.of(scans.manifest.holdout, None) is None

    (answer,) = [json.loads(line) for line in answer_rows(scans, _scan(5_000, "open")).splitlines()]

    assert (answer["action"], answer["lot"]) == ("block", None)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (_scan(5, "open").decode(), "2 features missing"),
        (_of_decision(1, decision_id=None), "no name of the decision"),
        (_of_decision(1, decision_id=""), "no name of the decision"),
        (_of_decision(1, decision_id="x" * 129), "no name of the decision"),
        (_of_decision(1, decision_id=7), "no name of the decision"),
        (_of_decision(1, decision_id="\ud800"), "no object of numbers and nulls"),
        (_of_decision(1, city=7), "a number"),
    ],
)
def test_a_row_without_what_the_lot_asks_is_refused(scans, line, found):
    with pytest.raises(RowsRefused) as refused:
        answer_rows(scans, line.encode(), LOTTERY)
    assert [problem.found for problem in refused.value.problems] == [found]


def test_the_key_of_the_settings_draws_the_lot_over_http(exported, scans, settings):
    root = exported.folder.parents[1]
    point(root, "fraud", "champion", "v1")
    keyed = settings.model_copy(update={"bundles": root, "holdout_key": SecretStr(KEY.hex())})

    replies = [_post(one, "fraud", _of_decision(1)) for one in (keyed, keyed)]
    unkeyed = _post(keyed.model_copy(update={"holdout_key": None}), "fraud", _of_decision(1))

    assert [reply.status_code for reply in (*replies, unkeyed)] == [200, 200, 422]
    assert replies[0].content == replies[1].content
    assert replies[0].json() == json.loads(answer_rows(scans, _of_decision(1).encode(), LOTTERY))
    assert KEY.hex() not in repr(keyed) + repr(load(keyed)) + repr(LOTTERY)
    assert KEY.hex() not in (exported.folder / "manifest.json").read_text()


def test_what_the_lot_asks_is_listed_with_the_model(scans):
    assert _loaded(scans.manifest, LOTTERY).also_asked == ("prize_fen", "campaign_id", "city", "decision_id")


def test_thresholds_are_shown_at_each_stake(scans):
    loaded = _loaded(scans.manifest)
    shown = loaded.thresholds

    assert loaded.also_asked == ("prize_fen", "campaign_id")

    assert {each.stake_fen for each in shown} == {100, 500, 2_000, 10_000}
    assert next(each.action for each in shown if each.stake_fen == 100) == "pay"


def test_a_home_whose_offers_task_has_no_model_serves_the_others(settings):
    desk = load(settings.model_copy(update={"task": "renewal"}))
    assert list(desk.scorers) == ["coupon"]
    assert desk.recommender is None
    assert "renewal" in desk.obstacle

"""Offers in the log: what was redeemed of what was sent, and what sending earned beside who was held out."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from data.errors import UsageError
from serving.ledger.forget import forget
from serving.ledger.record import Record
from serving.live.bodies import OrderLineBody, RedemptionBody, SendBody
from tests.serving.live.conftest import SECRET
from tests.training.monitoring.conftest import START
from tests.training.monitoring.writing import Sent, write_log
from training.catalogue import find
from training.metrics import roc_auc
from training.monitoring.evidence import Evidence
from training.monitoring.journal import open_journal
from training.monitoring.offers import monitor_offers
from training.monitoring.page import page

if TYPE_CHECKING:
    from pathlib import Path

    from training.monitoring.result import Monitored

MEMBERS = 120
CHANCES = [0.05 + 0.8 * place / MEMBERS for place in range(MEMBERS)]
TREATED = [place % 3 != 0 for place in range(MEMBERS)]
REDEEMED = [
    treated and (place * 7) % 10 < 10 * chance
    for place, (treated, chance) in enumerate(zip(TREATED, CHANCES, strict=True))
]
MARGIN = [300 + 10 * (place % 7) + 200 * treated for place, treated in enumerate(TREATED)]


def _answer(place: int, action: str = "send") -> bytes:
    offer = {"offer_id": "O1", "campaign_id": "C", "probability": CHANCES[place], "action": action}
    return json.dumps({"member_id": f"m{place}", "offers": [offer]}).encode()


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def _line(place: int) -> OrderLineBody:
    named = f"b{place}"
    told: dict[str, Any] = {"product_id": "p", "quantity": 1, "amount_fen": 900, "margin_fen": MARGIN[place]}
    return OrderLineBody(line_id=named, order_id=named, ts=_moment(90_000), member_id=f"m{place}", **told)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose log holds offers to some members, a third of them withheld, and what came of them."""
    home: Path = tmp_path_factory.mktemp("offers")

    def kept(place: int) -> Record:
        answer = _answer(place) if place < MEMBERS else _answer(0, "skip")
        return Record(decision_id=f"d{place}", task="coupon", version="one", request={}, features=b"", answer=answer)

    sends = [
        SendBody(
            send_id=f"s{place}",
            ts=_moment(86_400),
            member_id=f"m{place}",
            offer_id="O1",
            arm="treated" if treated else "control",
            propensity=2 / 3,
        )
        for place, treated in enumerate(TREATED)
    ]
    used = [RedemptionBody(send_id=f"s{place}", ts=_moment(95_000)) for place in range(MEMBERS) if REDEEMED[place]]
    bought = [(_line(place),) for place in range(MEMBERS)]
    write_log(
        home,
        [
            *((START + n, "decisions", f"d{n}", f"m{n % MEMBERS}", kept(n)) for n in range(MEMBERS + 1)),
            *((START + 86_400, "sends", one.send_id, one.member_id, Sent("sends", one)) for one in sends),
            *((START + 95_000, "redemptions", one.send_id, None, Sent("redemptions", one)) for one in used),
            *((START + 95_001, "orders", one[0].order_id, one[0].member_id, Sent("orders", one)) for one in bought),
        ],
    )
    return home


def _looked(home: Path, **asked: Any) -> Monitored:
    with open_journal(home / "ledger", SECRET) as journal:
        return monitor_offers(find("coupon"), Evidence(journal, home / "bundles", **asked))  # type: ignore[arg-type] # it is one


def test_chances_are_held_against_what_was_redeemed(given: Path) -> None:
    found = _looked(given)
    sent = np.array(TREATED)
    said, came = np.array(CHANCES)[sent], np.array(REDEEMED, float)[sent]

    assert found.counts["decisions"] == MEMBERS + 1
    assert found.counts["nothing"] == 1
    assert found.counts["sent"] == found.counts["labelled"] == sent.sum()
    assert found.counts["positives"] == came.sum() > 20
    assert found.metrics["roc_auc"].value == pytest.approx(roc_auc.of(came, said))
    assert found.calibration is not None
    assert found.calibration.gap.value == pytest.approx((said - came).mean())
    assert "roc_auc" in found.metrics
    assert page(found).startswith("<!DOCTYPE html>")


def test_money_is_the_difference_to_the_held_out(given: Path) -> None:
    until = _moment(200_000)
    found = _looked(given, since=_moment(0), until=until)
    sent, margin = np.array(TREATED), np.array(MARGIN, float)

    assert found.further["redeemed"].value == pytest.approx(np.array(REDEEMED)[sent].mean())
    uplift = found.further["money/uplift"]
    assert uplift.value == pytest.approx(margin[sent].mean() - margin[~sent].mean())
    assert uplift.low > 150
    assert found.figures()["live/money/uplift"] == uplift.value


def test_too_few_held_out_say_nothing_of_money(given: Path) -> None:
    found = _looked(given)  # the week ends with the newest decision, a day before anything was sent

    assert "money/uplift" not in found.further
    assert "no send of the week" in found.skipped["money"]


def test_a_forgotten_member_is_left_out(given: Path, tmp_path: Path) -> None:
    home = shutil.copytree(given, tmp_path / "home")
    forget(home / "ledger", SECRET, "m1")

    found = _looked(home)

    assert found.counts["forgotten"] == 1
    assert found.counts["decisions"] == MEMBERS
    assert found.counts["sent"] == sum(TREATED) - 1


def test_a_log_without_offers_says_so(tmp_path: Path) -> None:
    write_log(tmp_path, [])

    with pytest.raises(UsageError, match="no offer in the log"):
        _looked(tmp_path)


def _effects_answer(place: int) -> bytes:
    """As a model answers that learned effects: the chance has another name, and what sending earns is foretold."""
    offer = {
        "offer_id": "O1",
        "campaign_id": "C" if place % 2 else "D",
        "redemption_probability": CHANCES[place],
        "expected_margin_fen": {"mean": 100.0 + place, "lower": 1.0},
        "action": "send",
    }
    if place >= MEMBERS - 10:
        why = "holdout" if place % 2 else "no_running_campaign"
        return json.dumps({"member_id": f"m{place}", "offers": [], "no_offer": {"code": why}}).encode()
    return json.dumps({"member_id": f"m{place}", "offers": [offer], "no_offer": None}).encode()


@pytest.fixture(scope="module")
def foretold(tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    """The same members, asked of a model that learned effects, three days later than the first half."""
    home: Path = tmp_path_factory.mktemp("foretold")
    later = [place * 10 + (3 * 86_400 if place >= MEMBERS // 2 else 0) for place in range(MEMBERS)]
    sends = [
        SendBody(send_id=f"s{place}", ts=_moment(4 * 86_400), member_id=f"m{place}", offer_id="O1", arm="treated")
        for place in range(MEMBERS - 10)
    ]
    used = [
        RedemptionBody(send_id=f"s{place}", ts=_moment(5 * 86_400))
        for place in range(MEMBERS - 10)
        if (place * 7) % 10 < 10 * CHANCES[place]
    ]

    def kept(place: int) -> Record:
        answer = _effects_answer(place)
        return Record(decision_id=f"e{place}", task="coupon", version="two", request={}, features=b"", answer=answer)

    write_log(
        home,
        [
            *((START + later[n], "decisions", f"e{n}", f"m{n}", kept(n)) for n in range(MEMBERS)),
            *((START + 4 * 86_400, "sends", one.send_id, one.member_id, Sent("sends", one)) for one in sends),
            *((START + 5 * 86_400, "redemptions", one.send_id, None, Sent("redemptions", one)) for one in used),
        ],
    )
    return _looked(home)


def test_a_model_of_effects_is_held_against_what_was_redeemed_too(foretold: Monitored) -> None:
    rows = range(MEMBERS - 10)
    came = np.array([(place * 7) % 10 < 10 * CHANCES[place] for place in rows], float)

    assert foretold.metrics["roc_auc"].value == pytest.approx(roc_auc.of(came, np.array(CHANCES[: MEMBERS - 10])))
    assert foretold.further["money/foretold"].value == pytest.approx(np.mean([100.0 + place for place in rows]))
    assert foretold.figures()["live/money/foretold"] == foretold.further["money/foretold"].value
    assert "foretold" in page(foretold)


def test_slices_days_and_why_nothing_was_given_are_told(foretold: Monitored) -> None:
    campaigns = foretold.slices["campaign_id"]
    came = np.array([(place * 7) % 10 < 10 * CHANCES[place] for place in range(MEMBERS - 10)], float)

    assert set(campaigns) == {"C", "D"}
    assert campaigns["C"]["redeemed"].value == pytest.approx(came[1::2].mean())
    assert "roc_auc" in campaigns["D"]
    assert foretold.actions == {"send": MEMBERS - 10, "nothing/no_running_campaign": 5, "nothing/holdout": 5}
    assert foretold.counts["not_judged"] == 5
    first, second = foretold.days
    assert (first[1], second[1]) == (MEMBERS // 2, MEMBERS // 2)
    assert first[2] == pytest.approx(np.mean(CHANCES[: MEMBERS // 2]))
    assert second[3] == pytest.approx(1 - 10 / (MEMBERS // 2))
    assert foretold.arrival["longest_gap_hours"] == pytest.approx(72, abs=0.01)


def test_drift_without_the_bundle_is_nobodys_to_say(foretold: Monitored) -> None:
    assert foretold.drift is None
    assert "two is not there any more" in foretold.skipped["drift"]

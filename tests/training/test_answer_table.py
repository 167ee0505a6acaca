"""One answer for a person: an offer with its worth, or why there is none, with what was ruled out and by which rule."""

import io

from rich.console import Console

from training.answer_table import SHOWN, answer_table


def _shown(served):
    said = io.StringIO()
    Console(file=said, width=200).print(answer_table(served, "champion: parity"))
    return " ".join(said.getvalue().split())


def test_nothing_sent_says_why_and_by_which_rules():
    rule = {"sentence": "The last send was 2 days ago; 3 are needed."}
    served = {
        "member_id": "m1",
        "at": "2025-05-20T00:00:00Z",
        "offers": [],
        "no_offer": {"code": "all_ruled_out", "reason": "Each of 5 running offers is ruled out."},
        "ruled_out": [{"offer_id": f"offer-{place}", "reasons": [rule]} for place in range(5)],
    }

    shown = _shown(served)

    assert "all_ruled_out: Each of 5 running offers is ruled out." in shown
    assert shown.count(rule["sentence"]) == SHOWN
    assert "champion: parity" in shown


def test_an_offer_says_its_worth_and_its_reasons():
    offer = {
        "offer_id": "cup",
        "action": "send",
        "expected_margin_fen": {"mean": 211.4, "lower": 203.9},
        "reasons": [{"sentence": "Last purchase 3 days ago."}],
    }

    shown = _shown({"member_id": "m1", "offers": [offer], "no_offer": None, "ruled_out": []})

    assert "send, worth 211 fen, of it 204 counted on" in shown
    assert "Last purchase 3 days ago." in shown

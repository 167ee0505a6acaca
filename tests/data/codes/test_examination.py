"""Leaks, copies, runs and diversions planted in a brand where nothing else is wrong, and shadows of each."""

import json
from datetime import timedelta

import pytest

from data.codes.examination import examine
from data.codes.report import HEADINGS
from data.errors import DataError, UsageError
from data.sources import DataSet, open_folder

LEAKY = "Hangzhou batch 27"
MINUTES = timedelta(minutes=1)


def leak(brand, batch=LEAKY, *, before, people=8):
    """A list of a batch's codes, worked by link from both cities."""
    for turn in range(people):
        city = "Chengdu" if turn % 2 else "Hangzhou"
        late = timedelta(hours=-5 if before else 5) + turn * MINUTES
        status = "inactive" if before else "valid"
        at = brand.activated(batch) + late
        brand.scan(f"{city} {turn}", batch, 1_100 + 3 * turn, at, entry="link", status=status)


def clone(brand, serial=1_190, *, hours, batch="Chengdu batch 3", members=("Chengdu 1", "Hangzhou 1")):
    """One code, scanned by one member after another."""
    for turn, who in enumerate(members):
        at = brand.activated(batch) + timedelta(days=9, hours=hours * turn)
        brand.scan(who, batch, serial, at, status="repeat" if turn else "valid")


def test_nothing_is_found_where_nothing_is_wrong(brand, found):
    report = found(brand)

    assert report.findings == ()
    assert report.notes == ()
    assert report.counts["scans"] == report.counts["valid"] == len(brand.scans)


@pytest.mark.parametrize("before", [True, False])
def test_a_leaked_batch_is_found_with_its_evidence(brand, found, before):
    leak(brand, before=before)

    (finding,) = found(brand).of("leaked_batch")

    assert finding.subject == LEAKY
    assert finding.q < 1e-3
    assert finding.evidence["people"] == finding.evidence["by_link"] == finding.evidence["early_scans"] == 8
    assert finding.evidence["before_activation"] == (8 if before else 0)
    assert finding.evidence["cities"] == 2
    assert finding.evidence["in_another_city"] == 4
    assert (finding.evidence["first_serial"], finding.evidence["last_serial"]) == (1_100, 1_121)
    assert len(finding.evidence["scan_ids"]) == 8
    assert [sign.name for sign in finding.signs] == [
        "people_before_activation" if before else "people_on_day_1",
    ]


def test_a_second_leak_does_not_hide_behind_the_first(brand, found):
    leak(brand, before=True, people=20)
    leak(brand, "Chengdu batch 32", before=True, people=2)

    assert {finding.subject for finding in found(brand).of("leaked_batch")} == {LEAKY, "Chengdu batch 32"}


def test_a_case_that_one_of_the_staff_opens_is_a_run_and_no_leak(brand, found):
    for turn in range(9):
        brand.scan("Hangzhou 4", LEAKY, 1_060 + turn, brand.activated(LEAKY) + timedelta(hours=8) + turn * MINUTES)

    (finding,) = found(brand).findings

    assert finding.kind == "serial_run"
    assert finding.evidence["codes"] == 9
    assert finding.evidence["member_ids"] == ["Hangzhou 4"]
    assert (finding.evidence["first_serial"], finding.evidence["last_serial"]) == (1_060, 1_068)
    assert finding.evidence["minutes"] == 8
    assert finding.evidence["cities"] == ["Hangzhou"]
    assert finding.evidence["in_another_city"] == 0


def test_a_code_in_two_cities_faster_than_a_plane_is_a_copy(brand, found):
    clone(brand, hours=0.5)

    (finding,) = found(brand).findings

    assert (finding.kind, finding.subject) == ("cloned_code", "Chengdu batch 3#1190")
    assert finding.signs[0].name == "faster_than_a_plane"
    assert finding.signs[0].p is None
    assert finding.q == 0
    assert finding.evidence["farthest_km"] == pytest.approx(1_540, abs=20)
    assert finding.evidence["fastest_kmh"] == pytest.approx(2 * finding.evidence["leg_km"], rel=1e-3)
    assert finding.evidence["cities"] == finding.evidence["members"] == 2


def test_one_member_who_flies_is_no_copy(brand, found):
    clone(brand, hours=0.5, members=("Chengdu 1", "Chengdu 1"))
    brand.scans[-1] |= {"lat": 30.25, "lon": 120.15}

    assert found(brand).of("cloned_code") == ()


def test_a_family_that_scans_a_code_twice_is_no_copy(brand, found):
    clone(brand, hours=0.1, members=("Chengdu 1", "Chengdu 2"))

    assert found(brand).findings == ()


def test_many_members_of_one_code_are_copies_at_any_speed(brand, found):
    clone(brand, hours=30, members=("Chengdu 1", "Hangzhou 1", "Hangzhou 2", "Chengdu 8", "Hangzhou 5"))

    (finding,) = found(brand).of("cloned_code")

    assert {sign.name for sign in finding.signs} >= {"further_members", "far_members"}
    assert finding.evidence["members"] == 5


def test_whoever_sells_pictures_gives_all_their_codes_away(brand, found):
    brand.members["seller"] = "Chengdu"
    for turn in range(6):
        clone(brand, 1_191 + turn, hours=40, batch=f"Chengdu batch {turn}", members=("seller", f"Hangzhou {turn}"))

    findings = found(brand).of("cloned_code")

    assert len(findings) == 6
    assert {finding.evidence["first_member_id"] for finding in findings} == {"seller"}
    assert all(finding.signs[-1].name == "codes_of_the_first_member_elsewhere" for finding in findings)


def test_codes_of_a_package_that_leaked_are_told_once(brand, found):
    leak(brand, before=True)
    for turn in range(8):
        at = brand.activated(LEAKY) + timedelta(days=9)
        brand.scan(f"Chengdu {turn + 9}", LEAKY, 1_100 + 3 * turn, at)

    assert found(brand).of("cloned_code") == ()


def test_goods_that_turn_up_in_the_other_city_are_diverted(brand, found):
    for turn in range(9):
        at = brand.activated(LEAKY) + timedelta(days=6 + turn)
        brand.scan(f"Chengdu {turn}", LEAKY, 1_003 + 17 * turn, at)

    (finding,) = found(brand).findings

    assert (finding.kind, finding.subject) == ("diverted_batch", f"{LEAKY} in Chengdu")
    assert finding.evidence["visits"] == finding.evidence["members"] == 9
    assert finding.evidence["km"] == pytest.approx(1_540, abs=20)


def test_tickets_of_a_sale_are_no_printed_codes(brand, found):
    brand.batches["tickets"] = brand.batches[LEAKY] | {"batch_id": "tickets", "region": None}
    at = brand.activated("tickets")
    for turn in range(30):
        early = timedelta(seconds=turn - 15)
        status = "inactive" if turn < 15 else "valid"
        brand.scan(
            f"Hangzhou {turn}", "tickets", 1_000 + turn, at + early, entry="link", status=status, campaign_id="sale"
        )

    report = found(brand)

    assert report.findings == ()
    assert report.counts["requests"] == 30


def test_a_scan_that_is_sent_twice_counts_once(brand, found):
    leak(brand, before=True)
    once = found(brand)
    brand.scans += [row | {"ts": row["ts"] + MINUTES} for row in brand.scans]

    assert found(brand).findings == once.findings


def test_what_cannot_be_judged_is_said(brand, found):
    leak(brand, before=True)
    without = {"scans": ("lat", "lon", "serial", "entry"), "members": ("city",), "batches": ("activated_at", "region")}

    report = found(brand, without=without)

    assert len(report.notes) == 6
    assert [(finding.kind, finding.subject) for finding in report.findings] == [("leaked_batch", LEAKY)]
    assert report.findings[0].evidence["activated_at"] is None


def test_forged_codes_are_counted_and_belong_to_no_batch(brand, found):
    for turn in range(5):
        at = brand.activated(LEAKY) + turn * MINUTES
        brand.scan("Hangzhou 1", LEAKY, turn, at, batch_id=None, code_id=f"made up {turn}", status="forged")

    report = found(brand)

    assert report.findings == ()
    assert report.counts["forged"] == 5


def test_a_report_is_told_to_people_and_machines(brand, found):
    leak(brand, before=True)
    clone(brand, hours=0.5)
    report = found(brand)
    text = report.text()

    assert HEADINGS["leaked_batch"] in text
    assert HEADINGS["serial_run"] not in text
    assert f"{LEAKY}  people before activation 8" in text
    assert "1 leaked batch, 1 cloned code, 0 serial runs" in text
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert set(told["findings"]) == set(HEADINGS)
    assert told["findings"]["leaked_batch"][0]["signs"][0]["seen"] == 8


def test_a_share_that_is_none_is_refused():
    with pytest.raises(UsageError, match="false share: found 5"):
        examine(DataSet("nowhere", {}), 5)


def test_missing_tables_are_named(tmp_path):
    (tmp_path / "products.csv").write_text("product_id,category,brand\ntea,drinks,Leaf\n")

    with pytest.raises(DataError, match="found no table scans, members, batches, campaigns"):
        examine(open_folder(tmp_path))


def test_the_command_prints_the_report_and_ends_well(brand, found, shepherd, tmp_path):
    leak(brand, before=True)
    report = found(brand)
    (folder,) = tmp_path.iterdir()

    said, told = shepherd("codes", folder), shepherd("codes", folder, "--json")

    assert (said.returncode, told.returncode) == (0, 0), said.stderr + told.stderr
    assert f"{LEAKY}  people before activation 8" in said.stdout
    assert json.loads(told.stdout) == json.loads(json.dumps(report.as_dict()))
    refused = shepherd("codes", folder, "--false-share", "1")
    assert refused.returncode == UsageError.exit_code
    assert "expected a number between 0 and 1" in refused.stderr

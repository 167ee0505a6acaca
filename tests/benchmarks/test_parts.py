"""A benchmark of parts prints every key, whatever was measured, and the reason for each that was not."""

from __future__ import annotations

import json

import pytest

from benchmarks import coupons, sites
from benchmarks.parts import TOO_LONG, measured, print_parts


def _parts(quick, real):
    return {
        "here": lambda: {"rate": 1 / 3, "tiny": 1.2345e-12, "unknown": float("nan"), "folder": str(real)},
        "long": lambda: TOO_LONG if quick else {"value": 1.0},
        "real": lambda: None,
    }


def test_what_is_not_measured_has_its_reason(tmp_path, capsys):
    found, skipped = measured(_parts(quick=True, real=tmp_path), tmp_path, ("here", "long", "real"))
    assert skipped == {"long": TOO_LONG, "real": f"found no such data under {tmp_path}"}
    assert found["long"] is found["real"] is None
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == ["here", "long", "real"]
    _, skipped = measured(_parts(quick=False, real=tmp_path), tmp_path, ("long",))
    assert skipped == {"here": "not asked for", "real": "not asked for"}


def test_one_object_is_printed_last_with_numbers_that_can_be_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--quick", "--json", "--real", str(tmp_path)])
    print_parts("x", "y", _parts, lambda found: {**found, "laid": "out"})
    output = capsys.readouterr()
    printed = json.loads(output.out)
    assert not output.err
    assert printed["here"] == {"rate": 0.3333, "tiny": 1.2e-12, "unknown": None, "folder": str(tmp_path)}
    assert list(printed) == ["here", "long", "real", "laid", "skipped", "load_average"]


def test_an_unknown_part_is_refused_with_those_that_there_are(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--only", "nothing"])
    with pytest.raises(SystemExit):
        print_parts("x", "y", _parts, dict)
    assert "--only: found nothing, expected among here, long, real" in capsys.readouterr().err


@pytest.mark.parametrize("benchmark", [coupons, sites])
def test_quick_prints_the_keys_of_the_full_command_and_needs_no_real_data(benchmark, tmp_path):
    quick, full = (benchmark.parts(plan, tmp_path) for plan in (benchmark.QUICK, benchmark.FULL))
    assert list(quick) == list(full)
    found, skipped = measured(full, tmp_path, ("nothing",))
    assert set(skipped) == set(full)
    laid = benchmark.laid_out(found)
    assert set(full) - set(laid) <= {"allocation"}
    assert not any(laid.values())

"""What a killed process leaves, mended at the next start: deaths at every write, and single wounds by hand."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time

import numpy as np
import pytest

from data.errors import DataError
from serving.bundle import alone, point
from tests.counts import times
from tests.training.retraining.deaths import Killed, standing
from training.promotions import Override, Promotion, Signature, append, came_about, cut_torn, promotions
from training.reconcile import reconcile
from training.registry import back, challenge, promote
from training.tracking.killed import PROCESS, STARTED, close_killed, is_gone, owner, started
from training.tracking.stores import client, store
from training.tracking.tracked import track

BY = Signature("Ana", "read it")


def _promoted(home):
    promote("renewal", home, "first")


def _signed(home):
    promote("renewal", home, "second", signature=BY)


def _overridden(home):
    promote("renewal", home, "second", Override(("money",), "Ana", "a trial"))


def _back(home):
    back("renewal", home, BY)


def _challenged(home):
    challenge("renewal", "second", home)


def _with_champion(home):
    promote("renewal", home, "first")


def _with_two(home):
    promote("renewal", home, "first")
    promote("renewal", home, "second")


def _nothing(_home):
    """The home as it is."""


ACTS = {
    "first promotion": (_nothing, _promoted, {"", "first"}),
    "signed promotion": (_with_champion, _signed, {"first", "second"}),
    "way back": (_with_two, _back, {"second", "first"}),
    "challenge": (_nothing, _challenged, {""}),
}


def _drawn(points, how_many):
    return np.random.default_rng(7).choice(points, how_many, replace=False).tolist()


def _copied(home, number):
    return shutil.copytree(home, home.parent / f"copy-{number}")


@pytest.mark.faults
@pytest.mark.parametrize("act", ACTS)
def test_whoever_dies_at_any_write_leaves_what_the_next_start_mends(act, home, deaths):
    prepare, do, champions = ACTS[act]
    prepare(home)
    before = len(promotions(home / "bundles" / "renewal"))
    whole = _copied(home, "whole")
    with deaths.at_write(None, whole) as counted:
        do(whole)
    points = range(1, counted.written + 1)
    assert len(points) > 5
    for number in _drawn(points, times(2, len(points))):
        copy = _copied(home, number)
        with pytest.raises(Killed), deaths.at_write(number, copy):
            do(copy)

        mended = reconcile(copy)

        pointers = standing(copy)
        assert pointers.get("champion", "") in champions
        lines = came_about(copy / "bundles" / "renewal")
        assert (lines[-1].version if lines else "") == pointers.get("champion", "")
        assert len(lines) in {before, before + 1}
        assert bool(reconcile(copy).words) is False, mended
        if act != "way back" or pointers["champion"] == "second":
            do(copy)  # and what was cut short can be done
        assert standing(copy) == standing(whole)
        shutil.rmtree(copy)


@pytest.mark.faults
@pytest.mark.usefixtures("doomed")
def test_a_fit_that_dies_while_it_is_tracked_leaves_no_model(fitted, released, home, deaths):
    root = home / "bundles" / "renewal"
    shutil.copytree(released.folder, root / released.folder.name)

    def do(where):
        track(fitted, where / "bundles" / "renewal" / released.folder.name, store(where))
        challenge("renewal", released.folder.name, where)

    whole = _copied(home, "whole")
    with deaths.at_write(None, whole) as counted:
        do(whole)
    kept = standing(home)
    for number in _drawn(range(1, counted.written + 1), times(2, 40)):
        copy = _copied(home, number)
        with pytest.raises(Killed), deaths.at_write(number, copy):
            do(copy)

        reconcile(copy)

        found = standing(copy)
        assert found.get("challenger") in {kept["challenger"], released.folder.name}
        assert not reconcile(copy).words
        shutil.rmtree(copy)


@pytest.mark.faults
def test_whoever_dies_while_mending_is_mended_by_the_next(home, deaths):
    _with_champion(home)
    wounded = _dead_between_alias_and_pointer(home, deaths)
    whole = _copied(wounded, "whole")
    with deaths.at_write(None, whole) as counted:
        assert reconcile(whole).words
    points = range(1, counted.written + 1)
    for number in _drawn(points, times(2, len(points))):
        copy = _copied(wounded, number)
        with pytest.raises(Killed), deaths.at_write(number, copy):
            reconcile(copy)

        reconcile(copy)

        assert standing(copy)["champion"] == "first"
        assert came_about(copy / "bundles" / "renewal")[-1].version == "first"


def _dead_between_alias_and_pointer(home, deaths):
    """A copy in which a promotion died with its line and its alias written, and not its pointer."""
    for number in range(20, 100):
        copy = _copied(home, f"try-{number}")
        with pytest.raises(Killed), deaths.at_write(number, copy):
            _signed(copy)
        alias = client(store(copy)).get_model_version_by_alias("shepherd-renewal", "champion")
        if alias.tags["shepherd.bundle"] == "second":
            assert (copy / "bundles" / "renewal" / "champion").read_text().strip() == "first"
            return copy
    return pytest.fail("no such write")


def test_a_promotion_that_did_not_reach_the_pointer_did_not_come_about(home, caplog):
    _with_champion(home)
    folder = home / "bundles" / "renewal"
    append(folder, Promotion("2026-01-01T00:00:00+00:00", "promote", "second", "first", (), "Ana", "read it"))
    tracked = client(store(home))
    second = next(
        one
        for one in tracked.search_model_versions("name = 'shepherd-renewal'")
        if one.tags["shepherd.bundle"] == "second"
    )
    tracked.set_registered_model_alias("shepherd-renewal", "champion", second.version)

    words = reconcile(home).words

    assert standing(home)["champion"] == "first"
    assert [word for word in words if "second was promoted but not pointed to, and first is champion" in word]
    assert "mended: renewal: the alias champion named second, and names first as the pointer does" in caplog.text
    assert [line.action for line in promotions(folder)] == ["promote", "promote", "withdrawn"]
    assert [line.version for line in came_about(folder)] == ["first"]


def test_the_way_back_passes_over_what_was_withdrawn(home):
    _with_two(home)
    folder = home / "bundles" / "renewal"
    append(folder, Promotion("2026-01-01T00:00:00+00:00", "promote", "first", "second"))
    reconcile(home)

    assert back("renewal", home) == "first"


def test_an_alias_of_another_home_is_left_alone(home):
    _with_champion(home)
    tracked = client(store(home))
    tracked.set_model_version_tag("shepherd-renewal", "2", "shepherd.bundle", "elsewhere")
    tracked.set_registered_model_alias("shepherd-renewal", "champion", "2")

    assert reconcile(home).words == ()
    assert str(tracked.get_model_version_by_alias("shepherd-renewal", "champion").version) == "2"


def test_what_is_being_written_is_no_leftover(home):
    folder = home / "bundles" / "renewal"
    (folder / ".third-abc").mkdir()
    (folder / ".champion-abc").write_text("thi")

    words = reconcile(home).words

    assert [word for word in words if "half written and is gone" in word] == list(words)
    assert len(words) == 2
    assert not list(folder.glob(".*"))


def test_whoever_writes_a_bundle_keeps_the_one_who_clears_up_waiting(home):
    folder = home / "bundles" / "renewal"
    with alone(folder, among_writers=True), alone(folder, among_writers=True):
        descriptor = os.fork()
        if not descriptor:  # pragma: no cover - the other process
            with alone(folder):
                (folder / "late").touch()
            os._exit(0)
        time.sleep(0.2)
        assert not (folder / "late").exists()
    os.waitpid(descriptor, 0)
    assert (folder / "late").exists()


def test_the_end_of_a_torn_line_is_cut(tmp_path):
    append(tmp_path, Promotion("2026-01-01T00:00:00+00:00", "promote", "a", ""))
    whole = (tmp_path / "promotions.jsonl").read_bytes()
    (tmp_path / "promotions.jsonl").write_bytes(whole + whole[: len(whole) // 2])
    with pytest.raises(DataError, match="line 2 that is no promotion"):
        promotions(tmp_path)

    assert cut_torn(tmp_path)
    assert not cut_torn(tmp_path)
    assert (tmp_path / "promotions.jsonl").read_bytes() == whole


def test_a_home_without_anything_has_nothing_to_mend(tmp_path):
    assert reconcile(tmp_path / "home").words == ()


def _open(tracked, experiment, tags):
    return tracked.create_run(experiment, tags=tags).info.run_id


def test_runs_of_the_dead_are_closed_in_every_experiment_with_those_that_belong_to_them(home, of_the_dead):
    tracked = client(store(home))
    own = tracked.get_experiment_by_name("shepherd-renewal").experiment_id
    other = tracked.create_experiment("shepherd-another")
    strange = tracked.create_experiment("somebody else's")
    parent = _open(tracked, other, of_the_dead)
    child = _open(tracked, other, {"mlflow.parentRunId": parent})
    grandchild = _open(tracked, other, {"mlflow.parentRunId": child})
    living = _open(tracked, own, owner())
    child_of_living = _open(tracked, own, {"mlflow.parentRunId": living})
    theirs = _open(tracked, strange, of_the_dead)

    closed = reconcile(home).runs

    assert set(closed) == {parent, child, grandchild}
    assert {tracked.get_run(run).info.status for run in closed} == {"KILLED"}
    assert {tracked.get_run(run).info.status for run in (living, child_of_living, theirs)} == {"RUNNING"}


def test_what_a_killed_run_registered_is_taken_back_unless_an_alias_names_it(home, of_the_dead):
    tracked = client(store(home))
    own = tracked.get_experiment_by_name("shepherd-renewal").experiment_id
    run = _open(tracked, own, of_the_dead)
    half = tracked.create_model_version("shepherd-renewal", "file:///nowhere", run)
    kept = tracked.create_model_version("shepherd-renewal", "file:///nowhere", run)
    tracked.set_registered_model_alias("shepherd-renewal", "review", kept.version)
    pending = tracked.create_logged_model(own, "model", run)

    close_killed(tracked)

    numbers = {str(one.version) for one in tracked.search_model_versions("name = 'shepherd-renewal'")}
    assert str(half.version) not in numbers
    assert str(kept.version) in numbers
    assert str(tracked.get_logged_model(pending.model_id).status) == "FAILED"


def test_a_process_is_known_by_its_number_and_its_start():
    mine, here = owner(), socket.gethostname()

    assert not is_gone(mine)
    assert not is_gone({PROCESS: mine[PROCESS]})
    assert not is_gone({PROCESS: f"not-{here}:1", STARTED: "1@x"})
    assert not is_gone({PROCESS: "no process"})
    assert not is_gone({})
    assert mine[STARTED] == started(os.getpid())
    if sys.platform == "linux":
        ticks, _, boot = mine[STARTED].partition("@")
        assert is_gone({PROCESS: mine[PROCESS], STARTED: f"{int(ticks) - 1}@{boot}"})  # the number was given out again
        assert is_gone({PROCESS: mine[PROCESS], STARTED: f"{ticks}@an-earlier-boot"})
        assert not is_gone({PROCESS: mine[PROCESS], STARTED: f"{ticks}@"})


def test_a_process_that_ended_and_was_not_asked_about_is_gone():
    child = os.fork()
    if not child:  # pragma: no cover - the other process
        os._exit(0)
    until = time.monotonic() + 10
    tags = {PROCESS: f"{socket.gethostname()}:{child}"}
    while not is_gone(tags):
        assert time.monotonic() < until
        time.sleep(0.01)
    os.waitpid(child, 0)
    assert is_gone(tags)


def test_a_pointer_that_was_moved_by_hand_is_believed(home):
    _with_two(home)
    point(home / "bundles", "renewal", "champion", "first")

    reconcile(home)

    assert standing(home)["champion"] == "first"

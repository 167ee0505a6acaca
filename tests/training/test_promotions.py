"""Overrides that somebody answers for, the way back, and the file that remembers both."""

import json
import shutil

import pytest

from data.errors import DataError, GateRefused, UsageError
from serving.bundle import point, resolve
from training.promotions import Override, Promotion, Signature, append, before, promotions
from training.registry import back, challenge, promote
from training.tracking.stores import client, store
from training.tracking.tracked import track

FIGURES = {"contract/rows": 1_500.0, "leakage/rows": 500.0, "replay/values": 300.0, "replay/mismatches": 0.0}
RATES = {"label/rate": 0.3, "label/rate_of_champion": 0.3, "label/rate_by_chance": 0.01}
MONEY = "money/gain_over_best_constant_high"


def _renamed(folder, version, change):
    other = shutil.copytree(folder, folder.parent / version)
    path = other / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["version"] = version
    change(manifest)
    path.write_text(json.dumps(manifest))
    return other


@pytest.fixture(scope="module")
def tracked(fitted, released, tmp_path_factory):
    """A home with two versions: `first`, which nothing refuses, and `second`, which loses money and was made after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        home = tmp_path_factory.mktemp("promotions") / "home"
        root = home / "bundles" / "renewal"
        shutil.copytree(released.folder, root / released.folder.name)

        def good(manifest):
            gains = [name for name in manifest["metrics"] if name.startswith("baseline/")]
            manifest["metrics"].update(FIGURES | dict.fromkeys(gains, 0.01))

        def poor(manifest):
            good(manifest)
            manifest["champion"] = "first"
            manifest["metrics"].update({"money/gain_over_champion": -2.0, "money/gain_over_champion_high": -1.0})
            manifest["metrics"].update(RATES)

        first = _renamed(root / released.folder.name, "first", good)
        second = _renamed(root / released.folder.name, "second", poor)
        for folder in (first, second):
            track(fitted, folder, store(home))
        challenge("renewal", "first", home)
    return home


@pytest.fixture
def home(tracked, tmp_path, monkeypatch):
    """A copy of it, which a test may change."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copytree(tracked, tmp_path / "home")


def _champion(home):
    registered = client(store(home)).get_model_version_by_alias("shepherd-renewal", "champion")
    pointed = resolve(home / "bundles", "renewal", "champion").name
    assert registered.tags["shepherd.bundle"] == pointed
    return pointed, registered.tags


def test_an_override_is_recorded_in_the_registry_and_beside_the_pointer(home):
    promote("renewal", home, "first")
    promote("renewal", home, "second", Override(("money",), "Ana", "a trial in one town"))

    pointed, tags = _champion(home)
    line = promotions(home / "bundles" / "renewal")[-1]
    assert pointed == line.version == "second"
    assert (line.action, line.previous, line.by, line.reason) == ("promote", "first", "Ana", "a trial in one town")
    assert [gate["name"] for gate in line.overridden] == ["money"]
    assert json.loads(tags["shepherd.override"]) == list(line.overridden)
    assert (tags["shepherd.override.by"], tags["shepherd.override.reason"]) == ("Ana", "a trial in one town")


def test_a_promotion_is_signed_in_the_file_at_the_version_and_at_its_run(home, shepherd):
    done = shepherd("promote", "renewal", "first", "--home", home, "--by", "Ana", "--reason", "read it")

    line = promotions(home / "bundles" / "renewal")[-1]
    assert done.returncode == 0, done.stderr
    assert (line.by, line.reason, line.overridden) == ("Ana", "read it", [])
    tracked = client(store(home))
    version = tracked.get_model_version_by_alias("shepherd-renewal", "champion")
    for tags in (version.tags, tracked.get_run(version.run_id).data.tags):
        signed = {name: value for name, value in tags.items() if name.startswith("shepherd.signed.")}
        assert signed == {
            "shepherd.signed.by": "Ana",
            "shepherd.signed.reason": "read it",
            "shepherd.signed.at": line.at,
        }


def test_the_way_back_is_signed_as_well(home):
    promote("renewal", home, "first")
    promote("renewal", home, "second", Override(("money",), "Ana", "a trial"))
    back("renewal", home, Signature("Bo", "sales fell"))

    tags = _champion(home)[1]
    assert promotions(home / "bundles" / "renewal")[-1].by == tags["shepherd.signed.by"] == "Bo"


@pytest.mark.parametrize(
    ("by", "reason", "message"), [("", "why", "found no --by beside"), ("A" * 2_000, "", "shorten it")]
)
def test_a_signature_needs_a_name(by, reason, message):
    with pytest.raises(UsageError, match=message):
        Signature(by, reason)


def test_the_way_back_sets_alias_and_pointer_and_is_recorded(home):
    promote("renewal", home, "first")
    promote("renewal", home, "second", Override(("money",), "Ana", "a trial"))

    assert back("renewal", home) == "first"
    assert _champion(home)[0] == "first"
    assert [(one.action, one.version) for one in promotions(home / "bundles" / "renewal")] == [
        ("promote", "first"),
        ("promote", "second"),
        ("back", "first"),
    ]
    with pytest.raises(UsageError, match="found no champion before first"):
        back("renewal", home)


def test_before_any_promotion_there_is_no_way_back(home):
    with pytest.raises(UsageError, match="found no champion before the first"):
        back("renewal", home)


def test_a_gate_that_lets_pass_is_not_passed_over(home):
    with pytest.raises(UsageError, match=r"found 'parity', expected gates that refuse: none does"):
        promote("renewal", home, "first", Override(("parity",), "Ana", "to be sure"))

    assert promotions(home / "bundles" / "renewal") == ()


def test_figures_against_a_champion_that_is_no_longer_one_are_refused(home, shepherd):
    promote("renewal", home, "first")
    shutil.copytree(home / "bundles" / "renewal" / "first", aside := home / "bundles" / "renewal" / "third")
    manifest = json.loads((aside / "manifest.json").read_text()) | {"version": "third"}
    (aside / "manifest.json").write_text(json.dumps(manifest))
    again = shepherd("promote", "renewal", "third", "--home", home)
    assert again.returncode == 4
    assert "champion compared with: found none, required first" in again.stderr


def test_the_command_needs_gate_name_and_reason_and_goes_back_alone(home, shepherd):
    refused = shepherd("promote", "renewal", "--home", home, "--override", "money", "--by", "Ana")

    assert refused.returncode == 2
    assert "found no --reason" in refused.stderr
    both = shepherd("promote", "renewal", "first", "--back", "--home", home)
    assert both.returncode == 2
    assert "expected it alone" in both.stderr


@pytest.mark.parametrize(
    ("gates", "by", "reason", "lacking"),
    [
        ((), "Ana", "why", "--override"),
        (("money",), " ", "why", "--by"),
        (("money",), "Ana", "", "--reason"),
    ],
)
def test_an_override_needs_all_three(gates, by, reason, lacking):
    with pytest.raises(UsageError, match=f"found no {lacking}; expected all"):
        Override(gates, by, reason)


def test_who_was_before_is_who_the_last_promotion_found(tmp_path):
    lines = [
        ("promote", "a", ""),
        ("promote", "b", "a"),
        ("back", "a", "b"),
        ("promote", "c", "a"),
        ("promote", "b", "c"),
    ]
    for action, version, previous in lines:
        append(tmp_path, Promotion("2026-01-01T00:00:00+00:00", action, version, previous))

    assert [before(tmp_path, version) for version in "abc"] == ["", "c", "a"]


def test_a_line_that_is_none_is_named(tmp_path):
    (tmp_path / "promotions.jsonl").write_text('{"half": ')

    with pytest.raises(DataError, match="line 1 that is no promotion"):
        promotions(tmp_path)


def _over(home, version):
    promote("renewal", home, version, Override(("money",), "Li Na", "asked for"))


def test_the_champion_of_before_is_told_the_way_back(home):
    promote("renewal", home, "first")
    _over(home, "second")

    with pytest.raises(GateRefused, match="renewal first is not promoted: champion compared with") as refusal:
        promote("renewal", home, "first")

    assert "`shepherd promote renewal --back` returns" in str(refusal.value)
    assert "Train another" not in str(refusal.value)
    assert back("renewal", home) == "first"


def test_a_champion_of_long_ago_is_told_how_to_be_taken_back(home):
    promote("renewal", home, "first")
    _over(home, "second")
    root = home / "bundles" / "renewal"
    _renamed(root / "second", "third", lambda _: None)
    append(root, Promotion("2026-11-01T00:00:00+00:00", "promote", "third", "second"))
    point(root.parent, "renewal", "champion", "third")

    with pytest.raises(GateRefused, match=r"renewal first is not promoted: .* It was champion once") as refusal:
        promote("renewal", home, "first")

    assert "--override GATE, --by NAME" in str(refusal.value)

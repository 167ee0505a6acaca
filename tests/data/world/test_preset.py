"""The presets are frozen: whatever changes a parameter, a seed's use or the family of a number makes a new name."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from data.world.preset import PRESETS, fingerprint

FROZEN = {
    "world/v1": "9a1bf5316c49cd9f1338d4af7e7c9e49a1d789010a7090c20788fc4216b6ebab",
    "world/v1-aligned": "f2598de805799973ecac95e808602454048d1e4fac769958526372fbc6d8244c",
    "world/v1-opposed": "6ed0fabd9ff9a7c34bb72a5932b03057bf4afc2ef11a3b6b3047ddafd67c89e3",
    "flash/v1": "bfe80c23b3f007d5a76076a0275ce81f1be45cf4ed33a6b49ec0d56136e209ee",
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_parameters_are_those_that_were_frozen(name):
    assert fingerprint(PRESETS[name]) == FROZEN[name], "name what changed v2: models were fitted on this world"


def test_every_preset_is_frozen_under_its_own_name():
    assert set(FROZEN) == set(PRESETS)
    assert all(preset.name == name for name, preset in PRESETS.items())
    assert len(set(FROZEN.values())) == len(FROZEN)


def test_any_number_changes_the_fingerprint():
    preset = PRESETS["world/v1"]
    networks = replace(preset.networks, zipf=preset.networks.zipf + 1e-12)

    assert fingerprint(replace(preset, networks=networks)) != fingerprint(preset)


def test_parameters_are_plain_values():
    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(name, str) and plain(one) for name, one in value.items())
        if isinstance(value, tuple):
            return all(map(plain, value))
        return value is None or isinstance(value, bool | int | float | str)

    for preset in PRESETS.values():
        assert plain(asdict(preset))
        assert json.loads(json.dumps(asdict(preset), allow_nan=False))

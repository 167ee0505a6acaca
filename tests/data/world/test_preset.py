"""The presets are frozen: whatever changes a parameter, a seed's use or the family of a number makes a new name."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from data.world.preset import PRESETS, fingerprint

FROZEN = {
    "world/v1": "2fb830012d35a5f95a26a982db2c1d90dd32603af5d429a90f236dd7feaee8ff",
    "world/v1-aligned": "1ce63900dca5c1a118e711b9344333b92cce6cc8a2be4f6c95808a57cdd02fc3",
    "world/v1-opposed": "ff0cd4c4d974ef563b0fe728b6ed1660abfad1b65e4584c5325c0d3cca06a613",
    "flash/v1": "581ae964b3e79e852e4a06cfe091a7f44f45f5261835b1ae7d2aefd134fa3969",
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

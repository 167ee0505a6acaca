"""What cannot be simulated is refused with every reason at once."""

from __future__ import annotations

import pytest

from data.errors import UsageError
from data.world.request import Request, arrivals_of


def test_every_reason_is_named_at_once():
    with pytest.raises(UsageError) as refused:
        Request(
            preset="world/v9",
            members=3,
            days=9,
            seed=-1,
            leave_out=("honest", "flash_bots"),
            arrive={"flash_bots": 5, "bots": 2, "cap_resale": 9},
            csv=("feedback",),
        )

    said = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "--preset",
        "--members",
        "--days",
        "--seed",
        "--leave-out",
        "--arrive",
        "--csv",
        "--arrive",
        "--arrive",
    ]
    assert all("found" in line and "expected" in line for line in said)


def test_what_makes_the_same_world_is_told_alike():
    one = Request(leave_out=("flash_bots", "cap_resale"), arrive={"store_clerks": 3, "device_farm": 1}, csv=("scans",))
    other = Request(
        leave_out=("cap_resale", "flash_bots"), arrive={"device_farm": 1, "store_clerks": 3}, csv=("scans",)
    )

    assert one.as_dict() == other.as_dict()
    assert one.as_dict() != Request().as_dict()


def test_arrivals_are_read_from_their_texts():
    assert arrivals_of(("flash_bots=30", "cap_resale=0")) == {"flash_bots": 30, "cap_resale": 0}
    with pytest.raises(UsageError, match=r"'flash_bots'[\s\S]*'cap_resale=-1'[\s\S]*device_farm twice"):
        arrivals_of(("flash_bots", "cap_resale=-1", "device_farm=1", "device_farm=2"))

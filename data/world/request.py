"""What a world is asked to be, and every reason why it cannot be so."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from data.contracts import TABLES
from data.errors import UsageError
from data.world.preset import PRESETS
from data.world.records import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FEWEST_MEMBERS: Final = 100
MOST_MEMBERS: Final = 5_000_000
FEWEST_DAYS: Final = 14
MOST_DAYS: Final = 540

_WOOL: Final = FAMILIES[1:]


@dataclass(frozen=True)
class Request:
    """One world: the same request gives the same bytes.

    Attributes:
        preset: The parameters, by name.
        members: Honest members; 40 000 over 90 days make about a million scans.
        days: Length, from Monday 2025-03-03 on.
        seed: Where chance starts.
        leave_out: Families of the wool party that are absent.
        arrive: Families that only start work on a day, counted from 0.
        adapt: Whether the brand blocks what it suspects and the wool party changes what gets it blocked.
        csv: Tables written as CSV instead of Parquet.
    """

    preset: str = "world/v1"
    members: int = 40_000
    days: int = 90
    seed: int = 0
    leave_out: tuple[str, ...] = ()
    arrive: Mapping[str, int] = field(default_factory=dict)
    adapt: bool = False
    csv: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """See that such a world can be made.

        Raises:
            UsageError: It cannot; all reasons at once.
        """
        faults = tuple(_faults(self))
        if faults:
            raise UsageError("\n".join(faults))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: equal for requests of the same world."""
        told = asdict(self)
        told["leave_out"] = [name for name in _WOOL if name in self.leave_out]
        told["arrive"] = {name: self.arrive[name] for name in _WOOL if name in self.arrive}
        told["csv"] = sorted(set(self.csv))
        return told


def arrivals_of(texts: Sequence[str]) -> dict[str, int]:
    """Families and their days out of texts such as `flash_bots=30`.

    Raises:
        UsageError: Texts that say something else; all of them at once.
    """
    found: dict[str, int] = {}
    faults: list[str] = []
    for text in texts:
        family, _, day = text.partition("=")
        if not day.isdecimal():
            faults.append(f"--arrive: found {text!r}, expected FAMILY=DAY such as {_WOOL[0]}=30")
        elif family in found:
            faults.append(f"--arrive: found {family} twice, expected each family once")
        else:
            found[family] = int(day)
    if faults:
        raise UsageError("\n".join(faults))
    return found


def _faults(request: Request) -> Iterator[str]:
    if request.preset not in PRESETS:
        yield f"--preset: found {request.preset!r}, expected one of {', '.join(PRESETS)}"
    if not FEWEST_MEMBERS <= request.members <= MOST_MEMBERS:
        yield f"--members: found {request.members:,}, expected {FEWEST_MEMBERS} to {MOST_MEMBERS:,}"
    if not FEWEST_DAYS <= request.days <= MOST_DAYS:
        yield f"--days: found {request.days:,}, expected {FEWEST_DAYS} to {MOST_DAYS}"
    if request.seed < 0:
        yield f"--seed: found {request.seed}, expected 0 or more"
    yield from _unknown("--leave-out", request.leave_out, _WOOL)
    yield from _unknown("--arrive", request.arrive, _WOOL)
    yield from _unknown("--csv", request.csv, tuple(name for name in TABLES if name != "feedback"))
    for name, day in request.arrive.items():
        if not 0 <= day < request.days:
            yield f"--arrive: found {name}={day}, expected a day from 0 to {request.days - 1}, in which the world lasts"
        if name in request.leave_out:
            yield f"--arrive: found {name}, which --leave-out leaves out; expected it under one of them"


def _unknown(option: str, names: Iterable[str], known: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{option}: found {name!r}, expected one of {', '.join(known)}"

"""How rings that get blocked change: slower, over more phones, with more cover, on other accounts, each at its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.economics import Books
    from data.world.trade import Records


@dataclass(frozen=True)
class AdaptationSettings:
    """When rings change and how far; assumed.

    Attributes:
        blocked: Share of a ring's recent scans blocked from which it changes something.
        least_scans: Recent scans it takes to notice.
        memory: Weight that yesterday keeps against the day before.
        pause_days: Days between two changes.
        changes: How many of the four ways it tries at a time; it does not know what gave it away.
        slower: Factor on its pace.
        slowest: It goes no slower than this.
        tamer: Factor on what it dares in a sitting beyond what a careful ring does; the first thing to be given up.
        phones: Factor on its phones, up to one for each account.
        mix: Added share of ordinary scans.
        most_mix: Greatest share of them.
        proxies: Added share of scans through strangers' homes.
        fresh: Share of its accounts given up for others that it kept back.
        held_back: Accounts kept back, relative to those at work.
    """

    blocked: float = 0.15
    least_scans: float = 4.0
    memory: float = 0.7
    pause_days: int = 4
    changes: int = 2
    slower: float = 0.75
    slowest: float = 0.3
    tamer: float = 0.3
    phones: float = 1.5
    mix: float = 0.12
    most_mix: float = 0.6
    proxies: float = 0.25
    fresh: float = 0.3
    held_back: float = 0.6


class Adaptation:
    """What rings remember of being blocked, and what they change."""

    def __init__(self, settings: AdaptationSettings, rings: Records) -> None:
        self._settings = settings
        self._recent = np.zeros((2, rings.size))
        self._since = np.full(rings.size, settings.pause_days)
        self.changes = np.zeros(rings.size, np.int64)

    def learn(self, generator: np.random.Generator, rings: Records, outcome: Records, books: Books) -> None:
        """Takes in a day's outcome (OUTCOME, a row a ring) and changes `rings` in place, charging the books."""
        settings = self._settings
        self._recent = settings.memory * self._recent + np.stack([outcome["scans"], outcome["blocked"]])
        self._since += 1
        seen, blocked = self._recent
        caught = blocked > settings.blocked * np.maximum(seen, settings.least_scans)
        caught &= (rings["end"] < 0) & (self._since > settings.pause_days)
        ways = np.argsort(generator.random((rings.size, 4)), axis=1) < settings.changes
        rings["greed"][caught] = 1.0 + (rings["greed"][caught] - 1.0) * settings.tamer
        self._slow_down(rings, caught & ways[:, 0])
        self._spread(rings, caught & ways[:, 1], books)
        self._cover(rings, caught & ways[:, 2])
        self._start_afresh(rings, caught & ways[:, 3], books)
        self._since[caught] = 0
        self._recent[:, caught] = 0.0
        self.changes += caught

    def _slow_down(self, rings: Records, chosen: NDArray[np.bool_]) -> None:
        rings["pace"][chosen] = np.maximum(rings["pace"][chosen] * self._settings.slower, self._settings.slowest)

    def _spread(self, rings: Records, chosen: NDArray[np.bool_], books: Books) -> None:
        more = np.minimum(np.ceil(rings["phones"] * self._settings.phones).astype(np.int64), rings["held"])
        more = np.maximum(more, rings["phones"])
        books.charge(chosen, books.price_of_phones(more - rings["phones"]))
        rings["phones"] = np.where(chosen, more, rings["phones"])

    def _cover(self, rings: Records, chosen: NDArray[np.bool_]) -> None:
        for name, step, most in (
            ("mix", self._settings.mix, self._settings.most_mix),
            ("proxies", self._settings.proxies, 1.0),
        ):
            rings[name][chosen] = np.minimum(rings[name][chosen] + step, np.maximum(rings[name][chosen], most))

    def _start_afresh(self, rings: Records, chosen: NDArray[np.bool_], books: Books) -> None:
        wanted = np.ceil(rings["accounts"] * self._settings.fresh).astype(np.int64)
        given_up = np.minimum(wanted, rings["held"] - rings["accounts"] - rings["used_up"])
        given_up = np.where(chosen, np.maximum(given_up, 0), 0)
        books.charge(chosen, books.price_of_accounts(given_up))
        rings["used_up"] += given_up

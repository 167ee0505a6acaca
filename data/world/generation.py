"""How a world comes about: honest lives block by block, then day by day what arrives, is redeemed, paid and judged."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.world.almanac import DAY_US, START_US
from data.world.atlas import city_tables, city_truth
from data.world.campaigns import FLASH_SALE
from data.world.commerce_table import member_columns, order_columns, redemption_columns, send_columns
from data.world.cover import shoppers
from data.world.defence import Listener, NaiveRules
from data.world.economics import OUTCOME
from data.world.honest import honest_scans
from data.world.identifiers import identifiers
from data.world.journal import CLOSING_DAYS, Journal
from data.world.ledger import Ledger
from data.world.life import life
from data.world.payouts import Purses
from data.world.preset import PRESETS
from data.world.records import LINE, MEMBER, REDEMPTION, SEND
from data.world.registers import CHANNELS
from data.world.shelf import ON_SHELF, Shelf
from data.world.spool import Slices, Spool, arranged
from data.world.streams import stream
from data.world.truth import FOLDER, effect_truth, member_truth, ring_truth
from data.world.world import World
from data.world.writer import TableWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from numpy.typing import NDArray

    from data.world.defence import Defence
    from data.world.life import Life
    from data.world.request import Request

_GROWING: Final = ("scans", "scan_labels", "members", "payouts", "orders", "sends", "redemptions")
_GROWING_TRUTH: Final = ("scans", "members", "effects")
_SCANS_A_SLICE: Final = 1 << 17
_RECORDS_AT_ONCE: Final = 1 << 17
_SCANS_A_MEMBER_DAY: Final = 0.3
_CUTS_OF_A_DAY: Final = (1, 2, 3, 4, 6, 8, 12, 24)
_DAYS_BEFORE: Final = 1_470
_BLOCKS_AT_ONCE: Final = 2
_THREADS_BESIDE: Final = 2


@dataclass(frozen=True)
class Generated:
    """What was written: rows of each table, scans by family, honest scans by crowd."""

    rows: Mapping[str, int]
    by_family: NDArray[np.int64]
    by_crowd: NDArray[np.int64]


def generate(
    request: Request,
    folder: Path,
    scratch: Path,
    defence: Defence | None,
    progress: Callable[[str, int, int], None],
) -> Generated:
    """Write all tables and the truth of a world.

    Args:
        request: Which world.
        folder: Where to; made.
        scratch: Where what waits for its day lies until then; made, and left to the caller to remove.
        defence: Who blocks scans; if not given nobody, or simple rules in a world that adapts.
        progress: Told what is done, how much of it is done, and of how much in all.
    """
    for place in (folder, folder / FOLDER, scratch):
        place.mkdir(parents=True, exist_ok=True)
    preset = PRESETS[request.preset]
    if defence is None and request.adapt:
        defence = NaiveRules(preset.rules)
    world = World.of(preset, request)
    with ThreadPoolExecutor(_THREADS_BESIDE) as pool:
        return _Generation(world, folder, scratch, defence, progress, pool).run()


class _Generation:
    """One world on its way to disk."""

    def __init__(
        self,
        world: World,
        folder: Path,
        scratch: Path,
        defence: Defence | None,
        progress: Callable[[str, int, int], None],
        pool: Executor,
    ) -> None:
        self.world = world
        self.folder = folder
        self.pool = pool
        self.seed = world.request.seed
        self.progress = progress
        self.lasting = world.lasting_tables()
        self.writers = {name: _writer(folder, name, world.request.csv, pool) for name in (*_GROWING, *self.lasting)}
        for writer in self.writers.values():
            writer.listener = defence.told if isinstance(defence, Listener) else None
        self.truth = {f"{FOLDER}/{name}": TableWriter(folder, f"{FOLDER}/{name}", pool=pool) for name in _GROWING_TRUTH}
        days = world.request.days
        cuts = _cuts(world.request.members)
        self.slices = Slices(START_US, DAY_US // cuts, days * cuts)
        by_day = Slices(START_US, DAY_US, days)
        weeks = (_DAYS_BEFORE + days) // 7 + 1
        joined = Slices(START_US - _DAYS_BEFORE * DAY_US, 7 * DAY_US, weeks)
        self.lines = Spool(scratch / "lines", LINE, self.slices)
        self.sends = Spool(scratch / "sends", SEND, self.slices)
        self.redemptions = Spool(scratch / "redemptions", REDEMPTION, by_day)
        self.members = Spool(scratch / "members", MEMBER, joined)
        self.shelf = Shelf(world.preset.shelf, Spool(scratch / "shelf", ON_SHELF, by_day))
        self.purses = Purses.of(
            scratch / "purses", int(world.party.members["member"].max(initial=world.request.members - 1)) + 1
        )
        batches = world.scene.codes.batches
        self.journal = Journal(
            settings=world.preset.journal,
            seed=self.seed,
            folder=scratch,
            slices=self.slices,
            names=world.names(self.lasting),
            ledger=Ledger(scratch / "ledger", batches["activated_at"], batches["codes"]),
            purses=self.purses,
            codes=world.scene.codes,
            campaigns=world.scene.campaigns.rows,
            writers=self.writers | self.truth,
            defence=defence,
        )
        self.done = 0

    def run(self) -> Generated:
        """All of it, in order."""
        for name, columns in self.lasting.items():
            self.writers[name].write(columns)
        cities = self.pool.submit(self._cities)
        for block, lived in enumerate(self._lives()):
            self._put_away(block, *lived)
            self._advance(f"members live, block {block + 1}")
        self._cover()
        self._write_members()
        self._walk()
        party = self.world.party
        self._write_whole(f"{FOLDER}/rings", ring_truth(self.seed, party.rings, party.books.balance))
        for writer in (self.writers | self.truth).values():
            writer.close()
        rows = {name: writer.rows for name, writer in self.writers.items() if writer.rows} | cities.result()
        return Generated(rows, self.journal.by_family, self.journal.by_crowd)

    def _advance(self, what: str) -> None:
        self.done += 1
        self.progress(what, self.done, self.world.blocks + self.world.request.days + CLOSING_DAYS)

    def _lives(self) -> Iterator[tuple[NDArray[Any], Life, NDArray[Any]]]:
        """Block by block what honest members do; some blocks live at once, since none knows of another."""
        with ThreadPoolExecutor(_BLOCKS_AT_ONCE) as pool:
            coming: deque[Future[tuple[NDArray[Any], Life, NDArray[Any]]]] = deque()
            for block in range(self.world.blocks):
                coming.append(pool.submit(self._lived, block))
                if len(coming) == _BLOCKS_AT_ONCE:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def _lived(self, block: int) -> tuple[NDArray[Any], Life, NDArray[Any]]:
        """The members of a block, all they buy and are sent, and all they scan."""
        world = self.world
        people = world.people(block)
        lived = life(world.preset.life, world.shopping, block, people)
        return people.members, lived, honest_scans(world.preset.honest, world.scene, block, people, lived.occasions)

    def _put_away(self, block: int, members: NDArray[Any], lived: Life, scans: NDArray[Any]) -> None:
        """Everything that a block of honest members does waits for its time."""
        self._join(members)
        self._put_away_life(lived)
        self.journal.take_in(scans, "honest", block)
        self._put_on_shelf(scans, block)

    def _put_away_life(self, lived: Life) -> None:
        for spool, records in (
            (self.lines, lived.lines),
            (self.sends, lived.sends),
            (self.redemptions, lived.redemptions),
        ):
            spool.put(records, records["at"])
        self.truth[f"{FOLDER}/effects"].write(effect_truth(self.seed, lived.effects, offers=self._ids("offers")))

    def _cover(self) -> None:
        """The accounts of the wool party, and what the people behind them buy; their scans come day by day."""
        world, preset = self.world, self.world.preset
        self._join(world.party.members)
        accounts = shoppers(
            preset.cover, preset.people, world.scene.city, world.request.days, self.seed, world.party.members
        )
        for block, people in accounts:
            self._put_away_life(life(preset.life, world.shopping, block, people))

    def _put_on_shelf(self, scans: NDArray[Any], block: int) -> None:
        """Some of the codes that honest people will scan, from before they do."""
        settings, request = self.world.preset.shelf, self.world.request
        share = max(settings.share, min(1.0, settings.codes_a_day / (request.members * _SCANS_A_MEMBER_DAY)))
        chosen = stream(self.seed, "shelf", block).random(len(scans)) < share
        kinds = self.world.scene.campaigns.rows["kind"][scans["campaign"]]
        scans = scans[chosen & (kinds != FLASH_SALE) & (scans["batch"] >= 0)]
        codes = np.empty(len(scans), ON_SHELF)
        codes["city"] = self.world.scene.city.nearest_city(scans["lat"], scans["lon"])
        for name in ("batch", "serial", "lat", "lon"):
            codes[name] = scans[name]
        self.shelf.put(codes, scans["at"])

    def _join(self, members: NDArray[Any]) -> None:
        self.purses.open(members)
        self.members.put(members, members["registered_at"])
        self.truth[f"{FOLDER}/members"].write(member_truth(self.seed, members))

    def _write_members(self) -> None:
        """The table of members, in the order in which they joined."""
        cities, channels = pa.array(self.world.scene.city.cities), pa.array(CHANNELS)
        for place in range(self.members.slices.count):
            members = self.members.take(place)
            members = arranged(members, members["registered_at"], stream(self.seed, "member ties", place))
            for piece in _pieces(members):
                self.writers["members"].write(member_columns(self.seed, piece, cities=cities, channels=channels))

    def _walk(self) -> None:
        """Day by day: the wool party works, what arrives is written, and it learns what became of it."""
        days, cuts = self.world.request.days, self.slices.count // self.world.request.days
        party = self.world.party
        outcome: NDArray[Any] | None = None
        for day in range(days):
            self.shelf.open(day)
            self.journal.take_in(party.day(day, self.shelf, outcome), "wool", day)
            outcome = np.zeros(len(party.rings), OUTCOME)
            for place in range(day * cuts, (day + 1) * cuts):
                self._write_commerce(place)
                entered = self.journal.enter(place)
                told = party.outcome(entered.scans, blocked=entered.blocked, prize_fen=entered.prize_fen)
                for name in OUTCOME.names or ():
                    outcome[name] += told[name]
            self._write_redemptions(day)
            self.journal.close_day(day)
            self._advance(f"day {day + 1} of {days}")
        for day in self.journal.closing_days:
            self.journal.close_day(day)
            self._advance("late verdicts and payouts")

    def _write_commerce(self, place: int) -> None:
        lines = self.lines.take(place)
        lines = arranged(lines, lines["at"], stream(self.seed, "line ties", place))
        offers = self._ids("offers")
        products, stores = self._ids("products"), self._stores()
        for piece in _pieces(lines):
            columns = order_columns(self.seed, piece, products=products, stores=stores, offers=offers)
            self.writers["orders"].write(columns)
        sends = self.sends.take(place)
        sends = arranged(sends, sends["at"], stream(self.seed, "send ties", place))
        for piece in _pieces(sends):
            self.writers["sends"].write(send_columns(self.seed, piece, offers=offers, campaigns=self._ids("campaigns")))

    def _write_redemptions(self, day: int) -> None:
        redemptions = self.redemptions.take(day)
        redemptions = arranged(redemptions, redemptions["at"], stream(self.seed, "redemption ties", day))
        for piece in _pieces(redemptions):
            self.writers["redemptions"].write(redemption_columns(self.seed, piece))

    def _cities(self) -> dict[str, int]:
        """Write the tables of the cities and the truth about them, which hang on nothing that happens; their rows."""
        city, days = self.world.scene.city, self.world.request.days
        for name, columns in city_truth(city).items():
            self._write_whole(f"{FOLDER}/{name}", columns)
        return {name: self._write_whole(name, columns) for name, columns in city_tables(city, days).items()}

    def _write_whole(self, name: str, columns: Mapping[str, pa.Array[Any]]) -> int:
        """Write a small table at once and give its rows."""
        writer = _writer(self.folder, name, self.world.request.csv, None)
        writer.write(columns)
        writer.close()
        return writer.rows

    def _ids(self, table: str) -> pa.Array[Any]:
        """The ids of a table whose rows stand in order of number."""
        ids: pa.Array[Any] = next(iter(self.lasting[table].values()))
        return ids

    def _stores(self) -> pa.Array[Any]:
        return identifiers(self.seed, "store", np.arange(self.world.scene.city.store_lat.size))


def _writer(folder: Path, name: str, csv: tuple[str, ...], pool: Executor | None) -> TableWriter:
    if name in csv:
        return TableWriter(folder, name, "csv", pool=pool)
    return TableWriter(folder, name, "parts" if name in _GROWING else "file", pool=pool)


def _pieces(records: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Records a bounded number at a time: a wave of coupons reaches every member at once, and text is large."""
    for start in range(0, len(records), _RECORDS_AT_ONCE):
        yield records[start : start + _RECORDS_AT_ONCE]


def _cuts(members: int) -> int:
    """Into how many slices a day is cut, so that one is no larger for many members than for few."""
    wanted = members * _SCANS_A_MEMBER_DAY / _SCANS_A_SLICE
    return next((cuts for cuts in _CUTS_OF_A_DAY if cuts >= wanted), _CUTS_OF_A_DAY[-1])

"""What each member was sent, bought and cost in a season, and who was held out of all sending; out of the tables.

The persistent holdout is drawn once, by lot, and never sent anything: its members stand in `sends` with the arm control
and the chance 1, in a campaign of their own. What is compared is all who could have been sent something against the
holdout, whether anything was sent to them or not: those whom a policy picks buy more than others anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.contracts import TABLES
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb
    from numpy.typing import NDArray

    from data.sources import DataSet

    Reals = NDArray[np.float64]

ACTIVITY: Final = "activity"
"""The segments that need no column: by purchases before the first coupon (silent, light, heavy), and who is new."""


NEEDED: Final = ("members", "orders", "sends", "offers", "redemptions")


@dataclass(frozen=True)
class Caps:
    """How often a member may be sent something.

    Attributes:
        sends: At most so many sends.
        days: In so many days.
        cool_down_days: So long between two sends.
    """

    sends: int
    days: float
    cool_down_days: float = 0.0


@dataclass(frozen=True)
class Scope:
    """What is judged.

    Attributes:
        since: From this moment on.
        until: And before this one.
        holdout_campaign: In which the holdout stands in `sends`; None finds campaigns in which nothing was ever sent
            and each chance was 1.
        segment: A column of `members` to part them by, such as city or channel; or `ACTIVITY`.
        caps: How often a member may be sent something; None counts no such violation.
        margin_share: Earned of each amount, where `orders` has no `margin_fen`.
    """

    since: datetime
    until: datetime
    holdout_campaign: str | None = None
    segment: str = ACTIVITY
    caps: Caps | None = None
    margin_share: float | None = None

    def __post_init__(self) -> None:
        """Refuse a time that is none.

        Raises:
            UsageError: It has no zone, or ends before it begins.
        """
        if self.since.tzinfo is None or self.until.tzinfo is None or self.since >= self.until:
            raise UsageError(f"season: found {self.since} to {self.until}, expected two moments with zone, in order.")


@dataclass(frozen=True)
class Members:
    """A row a member who was known before the season and wants offers; all of shape (members,).

    Attributes:
        held_out: Whether they are of the holdout.
        segment: Their segment by name.
        sends: What was sent to them in the season.
        bought: Whether they bought anything.
        orders: Baskets.
        margin_fen: Earned on these, coupons paid.
        cost_fen: Of the coupons they used.
        margin_before_fen: Earned on them before the first coupon ever, in a time as long as the season.
    """

    held_out: NDArray[np.bool_]
    segment: NDArray[np.object_]
    sends: Reals
    bought: Reals
    orders: Reals
    margin_fen: Reals
    cost_fen: Reals
    margin_before_fen: Reals


@dataclass(frozen=True)
class Violations:
    """Sends of the season that should not have been.

    Attributes:
        sends: All that were sent.
        to_opted_out: To members who want none (as the table says now: who opted out after a send counts too).
        to_holdout: To members of the holdout.
        over_cap: That were one too many in the days of the cap; None without a cap.
        within_cool_down: That came too soon after the one before; None without a cap.
    """

    sends: int
    to_opted_out: int
    to_holdout: int
    over_cap: int | None
    within_cool_down: int | None

    def found(self) -> int:
        """All of them."""
        return self.to_opted_out + self.to_holdout + (self.over_cap or 0) + (self.within_cool_down or 0)


def require_needed(data_set: DataSet) -> None:
    """Refuse data that lack a table.

    Raises:
        DataError: With all that are missing.
    """
    missing = [name for name in NEEDED if name not in data_set.files]
    if missing:
        described = "; ".join(f"{name} ({TABLES[name].meaning})" for name in missing)
        raise DataError(
            f"{data_set.root}: found no table {', '.join(missing)}; expected {', '.join(NEEDED)}; add to the folder: "
            f"{described}"
        )


def read_members(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Members:
    """What became of each member over a season.

    What came before is taken from before the first coupon that was ever sent: later purchases are no longer free of
    coupons, and to adjust or to part by them would hide some of the effect.

    Args:
        connection: With the tables `members`, `orders`, `sends`, `offers` and `redemptions`.
        scope: What is judged.

    Raises:
        DataError: There is no holdout, nobody was sent anything, or margins are missing and no share of them is given.
        UsageError: There is no such column to make segments of.
    """
    _require(connection, scope)
    _mark_holdout(connection, scope)
    segment = scope.segment
    by = f"coalesce(members.\"{segment}\"::VARCHAR, 'unknown')" if segment != ACTIVITY else _BY_ACTIVITY
    asked = {"since": scope.since, "until": scope.until, "share": scope.margin_share or 0.0}
    found = connection.execute(_MEMBERS.format(segment=by), asked).fetchnumpy()
    real = {name: np.asarray(np.ma.getdata(found[name]), np.float64) for name in found if name not in _NAMES}
    members = Members(
        held_out=np.asarray(np.ma.getdata(found["held_out"]), np.bool_),
        segment=np.asarray(np.ma.getdata(found["segment"]), object),
        **real,
    )
    if not members.held_out.any() or not members.sends[~members.held_out].any():
        missing = "nothing that was sent" if members.held_out.any() else "no holdout"
        raise DataError(
            f"holdout report: found {missing} among {len(members.bought)} members from {scope.since} to "
            f"{scope.until}, expected both; hold some members out by lot before sending, or name their "
            "campaign with --campaign."
        )
    return members


def read_violations(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Violations:
    """Sends that should not have been; after `read_members`, on the same connection."""
    caps = scope.caps or Caps(0, 0.0)
    asked = {
        "since": scope.since,
        "until": scope.until,
        "look_back": scope.since - timedelta(days=max(caps.days, caps.cool_down_days)),
        "cap": caps.sends,
        "days": caps.days,
        "cool": caps.cool_down_days,
    }
    ((sends, opted_out, held_out, over, soon),) = connection.execute(_VIOLATIONS, asked).fetchall()
    capped = scope.caps is not None
    return Violations(sends, opted_out, held_out, over if capped else None, soon if capped else None)


def _require(connection: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    columns = [str(row[0]) for row in connection.execute("DESCRIBE members").fetchall()]
    if scope.segment != ACTIVITY and scope.segment not in columns:
        raise UsageError(f"segment: found {scope.segment!r}, expected {ACTIVITY} or one of {', '.join(columns)}.")
    ((known,),) = connection.execute("SELECT count(margin_fen) FROM orders").fetchall()
    if not known and scope.margin_share is None:
        raise DataError(
            "orders: found no margin_fen, expected margins; fill the column, or give a share of the amount "
            "with --margin."
        )


def _mark_holdout(connection: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    where: dict[str, Any] = {"until": scope.until}
    if scope.holdout_campaign is None:
        chosen = """
            campaign_id IN (
                SELECT campaign_id FROM sends GROUP BY campaign_id
                HAVING bool_and(arm = 'control' AND coalesce(propensity = 1, false))
            )
        """
    else:
        chosen, where["campaign"] = "campaign_id = $campaign AND arm = 'control'", scope.holdout_campaign
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE held_out AS SELECT DISTINCT member_id FROM sends WHERE ts < $until AND {chosen}",
        where,
    )


_NAMES: Final = ("held_out", "segment")

_BY_ACTIVITY: Final = """
    CASE WHEN registered_at >= (SELECT first_send FROM begun) THEN 'new'
    WHEN coalesce(orders_before, 0) = 0 THEN 'silent'
    WHEN orders_before <= (SELECT quantile_cont(orders_before, 0.5) FROM spent WHERE orders_before > 0)
    THEN 'light' ELSE 'heavy' END
"""

_MEMBERS: Final = """
    WITH begun AS (
        SELECT least($since, coalesce(min(ts), $since)) AS first_send,
            least($since, coalesce(min(ts), $since)) - ($until::TIMESTAMPTZ - $since::TIMESTAMPTZ) AS looked_from
        FROM sends WHERE arm = 'treated'
    ),
    spent AS (
        SELECT member_id,
            count(DISTINCT order_id) FILTER (ts >= $since) AS orders,
            count(DISTINCT order_id) FILTER (ts < (SELECT first_send FROM begun)) AS orders_before,
            sum(earned) FILTER (ts >= $since) AS margin,
            sum(earned) FILTER (ts < (SELECT first_send FROM begun)) AS margin_before
        FROM (
            SELECT member_id, order_id, ts, coalesce(
                margin_fen, $share * (amount_fen + coalesce(coupon_discount_fen, 0)) - coalesce(coupon_discount_fen, 0)
            ) AS earned
            FROM orders
            WHERE ts >= (SELECT looked_from FROM begun) AND ts < $until AND member_id IS NOT NULL
        )
        GROUP BY member_id
    ),
    sent AS (
        SELECT member_id, count(*) AS sends FROM sends
        WHERE arm = 'treated' AND ts >= $since AND ts < $until GROUP BY member_id
    ),
    taken_off AS (
        SELECT order_id, offer_id, sum(coupon_discount_fen) AS fen
        FROM orders WHERE offer_id IS NOT NULL GROUP BY ALL
    ),
    used AS (
        SELECT sends.member_id, sum(coalesce(taken_off.fen, offers.face_value_fen, 0)) AS fen
        FROM redemptions JOIN sends USING (send_id) JOIN offers USING (offer_id)
        LEFT JOIN taken_off ON taken_off.order_id = redemptions.order_id AND taken_off.offer_id = sends.offer_id
        WHERE redemptions.ts >= $since AND redemptions.ts < $until
        GROUP BY sends.member_id
    )
    SELECT held_out.member_id IS NOT NULL AS held_out, {segment} AS segment,
        coalesce(sent.sends, 0) AS sends, (coalesce(orders, 0) > 0)::INTEGER AS bought,
        coalesce(orders, 0) AS orders, coalesce(margin, 0) AS margin_fen, coalesce(used.fen, 0) AS cost_fen,
        coalesce(margin_before, 0) AS margin_before_fen
    FROM members LEFT JOIN held_out USING (member_id) LEFT JOIN spent USING (member_id)
    LEFT JOIN sent USING (member_id) LEFT JOIN used USING (member_id)
    WHERE coalesce(opted_out, 0) = 0 AND (registered_at IS NULL OR registered_at < $since)
    ORDER BY members.member_id
"""

_VIOLATIONS: Final = """
    WITH looked AS (
        SELECT sends.member_id, ts, members.opted_out, held_out.member_id IS NOT NULL AS held_out,
            ts - lag(ts) OVER (PARTITION BY sends.member_id ORDER BY ts) AS gap,
            count(*) OVER (
                PARTITION BY sends.member_id ORDER BY ts
                RANGE BETWEEN to_seconds($days * 86400) PRECEDING AND CURRENT ROW
            ) AS of_late
        FROM sends JOIN members USING (member_id) LEFT JOIN held_out USING (member_id)
        WHERE arm = 'treated' AND ts >= $look_back AND ts < $until
    )
    SELECT count(*), count(*) FILTER (opted_out = 1), count(*) FILTER (held_out), count(*) FILTER (of_late > $cap),
        count(*) FILTER (gap < to_seconds($cool * 86400))
    FROM looked WHERE ts >= $since
"""

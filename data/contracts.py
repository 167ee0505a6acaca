"""What every table of a brand must look like: its columns, their kinds, its key, and what it refers to.

The declarations are plain values, so that the checks, the readers and the data dictionary all follow from one place.
Kinds, and what a reader of `data.sources` gets for each:

* `text`: an identifier or a name; VARCHAR; an empty text is a null
* `instant`: a moment in time; TIMESTAMPTZ in UTC, microseconds
* `day`: a calendar day; DATE
* `month`: a calendar month; DATE of its first day
* `integer`: a whole number; BIGINT
* `money`: whole fen (cents of whatever the currency), so that no order of adding can change a sum; BIGINT
* `real`: a finite number; DOUBLE
* `flag`: no or yes; BIGINT 0 or 1, so that sums and shares need no cast
* `text_list`: several identifiers; VARCHAR[]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

REPEAT_DAYS = 35
"""An id that comes again within so many days of the event that counted is the same event sent twice."""

LARGEST_FEN = 10**9
"""Most that one line, prize or payment may be: ten million yuan, so that no sum of a member's can leave an int64."""
LARGEST_SERIAL = 30_000_000
"""No batch has more codes; the squares of serials are added up, and have to stay within an int64."""

Kind = Literal["text", "instant", "day", "month", "integer", "money", "real", "flag", "text_list"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: as it stands in the file.
        kind: what its values are, see the module.
        meaning: what it says about the business, for the data dictionary and for error messages.
        optional: the file may lack the column; a reader then gets nulls.
        nullable: single values may be missing. Every optional column is nullable.
        choices: the only values allowed; empty means any.
        minimum: the least value allowed, itself included.
        maximum: the greatest value allowed, itself included.
        past: it tells of something that has happened, so it may not lie in the future.
    """

    name: str
    kind: Kind
    meaning: str
    optional: bool = False
    nullable: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    past: bool = False


@dataclass(frozen=True)
class Reference:
    """A column whose every value must be found in another table; nulls refer to nothing."""

    column: str
    table: str
    target: str


@dataclass(frozen=True)
class Table:
    """One table: a row is what `meaning` says, and no two rows share the columns of `key`."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    references: tuple[Reference, ...] = ()

    @property
    def arrival(self) -> tuple[str, ...]:
        """The columns of which the first that is not null says when a row could be known; none for lasting facts."""
        names = {column.name for column in self.columns}
        return tuple(name for name in ("received_at", "ts", "landed_at") if name in names)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name}.{name}")


def _text(
    name: str,
    meaning: str,
    *,
    optional: bool = False,
    nullable: bool = False,
    choices: tuple[str, ...] = (),
) -> Column:
    return Column(name, "text", meaning, optional=optional, nullable=nullable or optional, choices=choices)


def _money(name: str, meaning: str, *, optional: bool = False, minimum: float | None = 0) -> Column:
    return Column(name, "money", meaning, optional=optional, nullable=optional, minimum=minimum)


def _sum_of(name: str, meaning: str, *, optional: bool = False, minimum: float = 0) -> Column:
    """Money that histories add up."""
    return replace(_money(name, meaning, optional=optional, minimum=minimum), maximum=LARGEST_FEN)


def _happened(name: str, meaning: str, *, optional: bool = False, nullable: bool = False) -> Column:
    return Column(name, "instant", meaning, optional=optional, nullable=nullable or optional, past=True)


def _instant(name: str, meaning: str, *, optional: bool = False) -> Column:
    return Column(name, "instant", meaning, optional=optional, nullable=optional)


def _day(name: str, meaning: str, *, optional: bool = False) -> Column:
    return Column(name, "day", meaning, optional=optional, nullable=optional)


def _number(
    name: str,
    kind: Literal["integer", "real"],
    meaning: str,
    limits: tuple[float | None, float | None] = (None, None),
    *,
    optional: bool = False,
) -> Column:
    return Column(name, kind, meaning, optional=optional, nullable=optional, minimum=limits[0], maximum=limits[1])


def _place(*, optional: bool = False) -> tuple[Column, Column]:
    return (
        _number("lat", "real", "WGS-84 latitude in degrees", (-90, 90), optional=optional),
        _number("lon", "real", "WGS-84 longitude in degrees", (-180, 180), optional=optional),
    )


_SCANS = Table(
    name="scans",
    meaning="one scan of the code printed on a product",
    key=("scan_id",),
    columns=(
        _text("scan_id", "the scan; a scan sent twice carries the same one"),
        _happened("ts", "when the phone scanned"),
        _happened("received_at", "when the scan arrived here, which is when it could be known", optional=True),
        _text("member_id", "who scanned; null for a shopper who has not signed in", nullable=True),
        _text("device_id", "the phone; null where the phone withholds it", nullable=True),
        _text("ip", "the network address; null where a proxy withholds it", nullable=True),
        _text("code_id", "the printed code; also given for a forged code that was never printed"),
        _text("batch_id", "the production batch of the code", optional=True),
        _number("serial", "integer", "the code's place in its batch", (0, LARGEST_SERIAL), optional=True),
        _text("product_id", "the product; null for a forged code that belongs to none", nullable=True),
        _text("campaign_id", "the campaign that ran; null outside every campaign", nullable=True),
        *_place(optional=True),
        _text("entry", "how the scan came in", optional=True, choices=("camera", "link")),
        _text("user_agent", "what the phone's browser says of itself", optional=True),
        _text("wifi_id", "the wireless network", optional=True),
        _text("status", "what became of the code", choices=("valid", "repeat", "inactive", "forged")),
        _sum_of("prize_fen", "prize drawn by the scan"),
    ),
    references=(
        Reference("member_id", "members", "member_id"),
        Reference("batch_id", "batches", "batch_id"),
        Reference("product_id", "products", "product_id"),
        Reference("campaign_id", "campaigns", "campaign_id"),
    ),
)

_SCAN_LABELS = Table(
    name="scan_labels",
    meaning="one verdict on one scan: wool party or not",
    key=("scan_id",),
    columns=(
        _text("scan_id", "the scan judged"),
        Column("is_wool", "flag", "1 if the scan was the wool party's (羊毛党)"),
        _happened("landed_at", "when the verdict became known; training may not see it earlier"),
        _text("origin", "who judged", optional=True, choices=("rule", "review", "chargeback", "audit")),
    ),
    references=(Reference("scan_id", "scans", "scan_id"),),
)

_FEEDBACK = Table(
    name="feedback",
    meaning="what came of one decision that was served",
    key=("decision_id",),
    columns=(
        _text("decision_id", "the decision, as the answer named it"),
        _happened("landed_at", "when the outcome became known"),
        _text("outcome", "what happened, in the words of the task's pay-off"),
        Column("allowed_at_random", "flag", "1 if the decision was let through by lot, to learn from it"),
        _number("propensity", "real", "chance with which the action was taken", (0, 1)),
    ),
)

_CAMPAIGNS = Table(
    name="campaigns",
    meaning="one campaign",
    key=("campaign_id",),
    columns=(
        _text("campaign_id", "the campaign"),
        _instant("starts_at", "first moment it runs"),
        _instant("ends_at", "first moment it no longer runs"),
        _text("time_zone", "zone in which its days and nights are counted, such as Asia/Shanghai"),
        _number("prize_odds", "real", "chance that a valid scan wins", (0, 1), optional=True),
        _money("budget_fen", "most it may pay out", optional=True),
    ),
)

_MEMBERS = Table(
    name="members",
    meaning="one registered shopper",
    key=("member_id",),
    columns=(
        _text("member_id", "the member"),
        _happened("registered_at", "when they joined; null for those known before records began", nullable=True),
        _text("referrer_id", "the member who brought them", optional=True),
        _text("phone_prefix", "first digits of the phone number", optional=True),
        _text("city", "home city", optional=True),
        _text("channel", "where they joined", optional=True),
        Column("opted_out", "flag", "1 if they want no offers", optional=True, nullable=True),
    ),
    references=(Reference("referrer_id", "members", "member_id"),),
)

_BATCHES = Table(
    name="batches",
    meaning="one production batch of printed codes",
    key=("batch_id",),
    columns=(
        _text("batch_id", "the batch"),
        _text("product_id", "the product it carries"),
        _happened("activated_at", "when its codes became valid; null before that", optional=True),
        _happened("shipped_at", "when it left the plant", optional=True),
        _text("region", "where it was sent", optional=True),
        _number("first_serial", "integer", "serial of its first code", (0, LARGEST_SERIAL), optional=True),
        _number("last_serial", "integer", "serial of its last code", (0, LARGEST_SERIAL), optional=True),
    ),
    references=(Reference("product_id", "products", "product_id"),),
)

_PRODUCTS = Table(
    name="products",
    meaning="one product, as shelved",
    key=("product_id",),
    columns=(
        _text("product_id", "the product"),
        _text("category", "what kind of thing it is; null where nobody has sorted it yet", nullable=True),
        _text("brand", "who stands behind it; null where unknown", nullable=True),
        _money("price_fen", "list price of one piece", optional=True),
        _money("margin_fen", "earned on one piece at list price; may be a loss", optional=True, minimum=None),
    ),
)

_PAYOUTS = Table(
    name="payouts",
    meaning="one payment of prize money",
    key=("payout_id",),
    columns=(
        _text("payout_id", "the payment"),
        _happened("ts", "when it was paid"),
        _text("member_id", "whose prize it was"),
        _text("account_id", "the account it went to; several members on one account are a ring's mark"),
        _sum_of("amount_fen", "amount paid"),
    ),
    references=(Reference("member_id", "members", "member_id"),),
)

_ORDERS = Table(
    name="orders",
    meaning="one line of one basket",
    key=("line_id",),
    columns=(
        _text("line_id", "the line"),
        _text("order_id", "the basket; its lines share it"),
        _happened("ts", "when it was bought"),
        _happened("received_at", "when the line arrived here, which is when it could be known", optional=True),
        _text("member_id", "who bought; null for a shopper without a card", nullable=True),
        _text("store_id", "where; null for a sale outside every store", optional=True),
        _text("channel", "till or mini program", optional=True, choices=("pos", "mini_program")),
        _text("product_id", "what was bought"),
        _number("quantity", "integer", "pieces; 0 for a line that only carries money, such as a deposit", (0, None)),
        _sum_of("amount_fen", "paid for the line, after all discounts"),
        _sum_of("discount_fen", "taken off the line, all discounts together", optional=True),
        _sum_of("coupon_discount_fen", "the part of discount_fen that a coupon paid", optional=True),
        _sum_of("margin_fen", "earned on the line; may be a loss", optional=True, minimum=-LARGEST_FEN),
        _text("offer_id", "the offer used on the line", optional=True),
    ),
    references=(
        Reference("member_id", "members", "member_id"),
        Reference("store_id", "stores", "store_id"),
        Reference("product_id", "products", "product_id"),
        Reference("offer_id", "offers", "offer_id"),
    ),
)

_OFFERS = Table(
    name="offers",
    meaning="one coupon or booklet of coupons that can be sent",
    key=("offer_id",),
    columns=(
        _text("offer_id", "the offer"),
        _text("kind", "what sort of offer it is, in the brand's own words"),
        _money("face_value_fen", "what it takes off", optional=True),
        _money("threshold_fen", "basket value from which it holds", optional=True),
        _text("category", "the category it is good for", optional=True),
        _text("brand", "the brand it is good for", optional=True),
        Column("product_ids", "text_list", "the products it is good for", optional=True, nullable=True),
        _number("stock", "integer", "how many can be given", (0, None), optional=True),
        _instant("starts_at", "first moment it can be used"),
        _instant("ends_at", "first moment it can no longer be used"),
    ),
)

_SENDS = Table(
    name="sends",
    meaning="one offer given to one member, or withheld from them to measure its effect",
    key=("send_id",),
    columns=(
        _text("send_id", "the sending"),
        _happened("ts", "when it was sent, or would have been"),
        _text("member_id", "to whom"),
        _text("offer_id", "what"),
        _text("campaign_id", "in which campaign; null for a sending outside every campaign", nullable=True),
        _text("arm", "sent, or withheld for comparison", choices=("treated", "control")),
        _number("propensity", "real", "chance with which the arm was drawn", (0, 1), optional=True),
    ),
    references=(
        Reference("member_id", "members", "member_id"),
        Reference("offer_id", "offers", "offer_id"),
        Reference("campaign_id", "campaigns", "campaign_id"),
    ),
)

_REDEMPTIONS = Table(
    name="redemptions",
    meaning="the first use of an offer that had been sent",
    key=("send_id",),
    columns=(
        _text("send_id", "the sending that was answered"),
        _happened("ts", "when the offer was used"),
        _text("order_id", "the basket in which it was used", optional=True),
    ),
    references=(
        Reference("send_id", "sends", "send_id"),
        Reference("order_id", "orders", "order_id"),
    ),
)

_STORES = Table(
    name="stores",
    meaning="one store that is or was open",
    key=("store_id",),
    columns=(
        _text("store_id", "the store"),
        *_place(),
        _day("opened_on", "first day of trade"),
        _day("closed_on", "first day without trade; null while it trades", optional=True),
        _text("format", "what sort of store it is", optional=True),
        _number("area_m2", "real", "sales floor in square metres", (0, None), optional=True),
        _text("chain", "the chain it belongs to", optional=True),
    ),
)

_STORE_SALES = Table(
    name="store_sales",
    meaning="what one store took in one month",
    key=("store_id", "month"),
    columns=(
        _text("store_id", "the store"),
        Column("month", "month", "the calendar month", past=True),
        _money("revenue_fen", "taken in that month"),
    ),
    references=(Reference("store_id", "stores", "store_id"),),
)

_CELLS = Table(
    name="cells",
    meaning="one cell of the city grid; every further numeric column is a candidate for site features",
    key=("cell_id",),
    columns=(
        _text("cell_id", "the cell"),
        *_place(),
        _number("area_km2", "real", "land area in square kilometres", (0, None), optional=True),
        _number("population", "real", "people who live there; estimates need not be whole", (0, None)),
        _number("income", "real", "what a household earns there, in the source's own unit", optional=True),
        _number("footfall", "real", "people who pass, in the source's own unit", (0, None), optional=True),
    ),
)

_PLACES = Table(
    name="places",
    meaning="one point of interest: a school, a rival, a metro exit",
    key=("place_id",),
    columns=(
        _text("place_id", "the place"),
        *_place(),
        _text("category", "what sort of place it is"),
        _text("brand", "the brand over its door", optional=True),
        _day("opened_on", "first day it was there", optional=True),
    ),
)

_SITES = Table(
    name="sites",
    meaning="one candidate for a new store",
    key=("site_id",),
    columns=(
        _text("site_id", "the candidate"),
        *_place(),
        _text("format", "what sort of store it would be", optional=True),
        _number("area_m2", "real", "sales floor in square metres", (0, None), optional=True),
        _money("rent_fen", "rent of one month", optional=True),
        _money("opening_cost_fen", "what opening it costs, once", optional=True),
    ),
)

_WEATHER = Table(
    name="weather",
    meaning="the weather of one city on one day, measured or forecast",
    key=("city", "day"),
    columns=(
        _text("city", "the city, as members and stores name it"),
        _day("day", "the local calendar day"),
        _number("temperature_c", "real", "mean temperature in degrees Celsius", (-90, 60)),
        _number("rain_mm", "real", "rain of the day in millimetres", (0, None)),
    ),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            _SCANS,
            _SCAN_LABELS,
            _FEEDBACK,
            _CAMPAIGNS,
            _MEMBERS,
            _BATCHES,
            _PRODUCTS,
            _PAYOUTS,
            _ORDERS,
            _OFFERS,
            _SENDS,
            _REDEMPTIONS,
            _STORES,
            _STORE_SALES,
            _CELLS,
            _PLACES,
            _SITES,
            _WEATHER,
        )
    }
)

"""How a page writes money, lengths, shares and times: in English with the Chinese unit where trade uses one."""

from __future__ import annotations

import math
from typing import Final

MINUS: Final = "\N{MINUS SIGN}"
"""As wide as a plus."""

FEN_A_WAN: Final = 1_000_000
"""Fen in ten thousand yuan (万元)."""


def yuan(fen: float, *, signed: bool = False) -> str:
    """Money in millions of yuan, thousands below one.

    >>> yuan(1_234_000_000), yuan(1_200_000_000, signed=True)
    ('¥12.3 M', '+¥12.0 M')
    """
    size, sign = abs(fen) / 100, MINUS if fen < 0 else "+" if signed else ""
    return f"{sign}¥{size / 1e6:.1f} M" if size >= 999_500 else f"{sign}¥{size / 1e3:,.0f} k"


def wan(fen: float, *, signed: bool = False) -> str:
    """The same in ten thousand yuan.

    >>> wan(1_234_000_000)
    '1,234 万元'
    """
    sign = MINUS if fen < 0 else "+" if signed else ""
    return f"{sign}{abs(fen) / FEN_A_WAN:,.0f} 万元"


def percent(share: float, *, signed: bool = False) -> str:
    """A share.

    >>> percent(0.123), percent(0.004)
    ('12 %', '0.4 %')
    """
    size, sign = abs(share) * 100, MINUS if share < 0 else "+" if signed else ""
    return f"{sign}{size:.1f} %" if 0 < size < 0.95 else f"{sign}{size:.0f} %"


def metres(length: float) -> str:
    """A length.

    >>> metres(430.2), metres(2_340)
    ('430 m', '2.3 km')
    """
    return f"{length:.0f} m" if length < 999.5 else f"{length / 1000:.1f} km"


def months(number: float | None) -> str:
    """A time to wait; None is never.

    >>> months(17.2), months(40.0), months(None)
    ('17 months', '3.3 years', 'never')
    """
    if number is None:
        return "never"
    return f"{math.ceil(number - 0.5)} months" if number < 23.5 else f"{number / 12:.1f} years"


def plain(value: float | None, unit: str = "") -> str:
    """A feature's value in three figures, with its unit where a reader would miss it.

    >>> plain(12345.6, "people"), plain(243.2, "metres"), plain(0.0698, "share"), plain(1.0, "yes or no"), plain(None)
    ('12,346', '243 m', '7 %', 'yes', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    if unit == "share":
        return percent(value)
    if unit == "yes or no":
        return "yes" if value else "no"
    if unit == "metres":
        return metres(value)
    if unit == "square metres":
        return f"{value:,.0f} m²"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

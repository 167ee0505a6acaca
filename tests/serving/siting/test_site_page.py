"""The card and the city picture as text: what they say, and that no text of a table becomes markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.siting.card import Forecast, Place, SiteCard, card_json, pay_back
from serving.siting.chart import Frame, classes
from serving.siting.city_page import Marked, city_page
from serving.siting.markup import element, joined
from serving.siting.page import card_page

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; background:url(https://evil.example/x) ;'",
    "</style><svg onload=alert(1)>",
    "]]>&lt;b&gt;&#x3c;",
    "javascript:alert(1)",
)


class Seen(HTMLParser):
    """What a browser would find: elements, attributes and text."""

    def __init__(self):
        super().__init__()
        self.elements, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def seen(page):
    parser = Seen()
    parser.feed(page)
    return parser


def pages(make_card, make_city, text):
    stores = [Place(name=text, lat=30.62, lon=104.03)]
    city = city_page(make_city(text), [Marked(text, 30.63, 104.04, 1e9, 8e8, 1.2e9, 9e8)], stores, text, text)
    return card_page(make_card(text, text)), city


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup(make_card, make_city, text):
    plain = [seen(page) for page in pages(make_card, make_city, "plain")]
    for page, harmless in zip(pages(make_card, make_city, text), plain, strict=True):
        found = seen(page)
        assert found.elements == harmless.elements
        assert [name for name, _ in found.attributes] == [name for name, _ in harmless.attributes]
        assert any(text in piece for piece in found.text)


def test_the_pages_name_nothing_to_load(make_card, make_city):
    for page in pages(make_card, make_city, "plain"):
        found = seen(page)
        assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(found.elements)
        assert not {name for name, _ in found.attributes} & {"src", "href", "srcset", "xlink:href", "action"}
        assert "url(" not in page
        assert "@import" not in page
        assert "default-src &#x27;none&#x27;" in page


def test_the_card_says_the_forecast_its_interval_and_what_the_network_gains(card):
    text = " ".join(seen(card_page(card)).text)
    for told in ("¥12.0 M", "80 % interval", "¥10.0 M – ¥15.0 M", "+¥11.3 M", "选址卡", "Like stores we know", "500 m"):
        assert told in text, told


def test_a_site_beyond_experience_says_so_and_why(card):
    beyond = Forecast(
        revenue_fen=1.2e9, low_fen=5e8, high_fen=2e9, coverage=0.8, out_of_range=("Farther out than any store.",)
    )
    told = {name: getattr(card, name) for name in card.__struct_fields__} | {"forecast": beyond}
    text = " ".join(seen(card_page(SiteCard(**told))).text)
    assert "Unlike any store we know" in text
    assert "Farther out than any store." in text
    assert "Unlike any store we know" not in " ".join(seen(card_page(card)).text)


def test_a_card_without_rent_twins_or_losses_is_a_page_still(card):
    bare = dict.fromkeys(("twins", "differences", "reasons", "catchment", "losses", "stores", "rivals"), ())
    told = {name: getattr(card, name) for name in card.__struct_fields__} | bare | {"pay_back": None, "area_m2": None}
    text = " ".join(seen(card_page(SiteCard(**told))).text)
    assert "rent or opening cost not known" in text


def test_the_card_reads_back_from_its_json(card):
    assert msgspec.json.decode(card_json(card), type=SiteCard) == card


def test_pay_back_takes_what_own_stores_lose_off_and_may_never_come():
    forecast = Forecast(revenue_fen=1000.0, low_fen=500.0, high_fen=2000.0, coverage=0.8)
    back = pay_back(forecast, taken_fen=200.0, rent_fen_a_month=10.0, opening_cost_fen=60.0, margin=0.25)
    assert back.earned_fen == pytest.approx(0.25 * 800 - 120)
    assert back.months == pytest.approx(12 * 60 / 80)
    assert back.months_at_low is None
    assert back.months_at_high == pytest.approx(12 * 60 / (0.25 * 1600 - 120))


def test_the_city_lists_the_best_cells_apart_and_none_beyond_experience(city):
    best = city.best(5, 1500)
    assert len(best) == 5
    assert best[0] == np.argmax(city.revenue_fen)
    assert not city.out_of_range[list(best)].any()
    frame = Frame.around(city.lat, city.lon, 100.0)
    for one in best:
        for other in best:
            gap = np.hypot(
                frame.across(city.lon[one]) - frame.across(city.lon[other]),
                frame.down(city.lat[one]) - frame.down(city.lat[other]),
            )
            assert one == other or gap / frame.metre > 1490


def test_the_geojson_has_each_cell_as_a_closed_counterclockwise_square(city):
    told = json.loads(city.geojson())
    assert [one["id"] for one in told["features"]] == list(city.cell_id)
    for one in told["features"][:5]:
        ring = np.array(one["geometry"]["coordinates"][0])
        assert (ring[0] == ring[-1]).all()
        x, y = ring[:, 0], ring[:, 1]
        turned = float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
        km2 = turned * 111.195**2 * np.cos(np.radians(y.mean()))
        assert km2 == pytest.approx(0.5, rel=2e-3)
        assert one["properties"]["revenue_fen"] > 0


def test_the_table_has_a_row_a_cell(city):
    table = city.table()
    assert table.num_rows == city.lat.size
    assert table["out_of_range"].to_pylist() == city.out_of_range.tolist()


@given(st.text())
def test_text_stays_text(text):
    found = seen(element("p", text, title=text))
    assert found.elements == ["p"]
    assert "".join(found.text).replace("\r\n", "\n").replace("\r", "\n") == text.replace("\r\n", "\n").replace(
        "\r", "\n"
    )
    assert joined([element("b", text), text]).startswith("<b>")


@given(lat=st.floats(-60, 60), lon=st.floats(-170, 170), north=st.floats(-0.2, 0.2), east=st.floats(-0.2, 0.2))
def test_a_frame_holds_what_it_was_made_around_and_keeps_lengths(lat, lon, north, east):
    frame = Frame.around(np.array([lat, lat + north]), np.array([lon, lon + east]), 600.0)
    assert frame.holds(lat, lon)
    assert frame.holds(lat + north, lon + east)
    tall_m = (frame.north - frame.south) * 111_195
    assert frame.height / frame.metre == pytest.approx(tall_m, rel=1e-6)


def test_shades_rise_with_the_value():
    assert classes(np.array([0.0, 1.0, 1.5, 9.0, 99.0]), (1, 2, 3, 4, 5)).tolist() == [0, 1, 1, 5, 5]

"""Files of points become the tables of the contracts, whatever they are and wherever they say they are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from typer.testing import CliRunner

from data.checks import check
from data.errors import DataError, UsageError
from data.geography.coordinates import from_wgs84
from data.geography.points import import_points, read_points
from data.sources import open_folder
from shepherd import app

STORES = {
    "store_id": ["007", "b"],
    "opened_on": ["2024-05-01", "2023-01-31"],
    "area_m2": [120.0, None],
    "staff": [4, 5],
}
LAT, LON = np.array([31.1, 30.5]), np.array([121.2, 120.5])


def _frame(crs="EPSG:4326", shapes=None):
    points = geopandas.points_from_xy(LON, LAT) if shapes is None else shapes
    return geopandas.GeoDataFrame(STORES, geometry=points, crs="EPSG:4326").to_crs(crs)


def _written(folder, suffix, crs="EPSG:4326"):
    path, frame = folder / f"shops{suffix}", _frame(crs)
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".csv":
        points = {"lat": frame.geometry.y, "lon": frame.geometry.x}
        frame.drop(columns="geometry").assign(**points).to_csv(path, index=False)
    else:
        frame.to_file(path)
    return path


DEGREES, ZONE = "EPSG:4326", "EPSG:32651"
KINDS = [(".geojson", DEGREES), *((one, crs) for one in (".csv", ".parquet", ".gpkg") for crs in (DEGREES, ZONE))]


@pytest.mark.parametrize(("suffix", "crs"), KINDS)  # GeoJSON is in degrees by its standard (RFC 7946)
def test_every_format_in_degrees_or_metres_is_the_same_table(tmp_path, suffix, crs):
    told = crs if suffix == ".csv" and crs != "EPSG:4326" else "wgs84"
    found = read_points(_written(tmp_path, suffix, crs), "stores", crs=told, extracted_on=date(2024, 6, 1))
    np.testing.assert_allclose(found["lat"].to_numpy(), LAT, atol=1e-7)
    np.testing.assert_allclose(found["lon"].to_numpy(), LON, atol=1e-7)
    assert found["store_id"].to_pylist() == ["007", "b"]
    assert found["opened_on"].to_pylist() == [date(2024, 5, 1), date(2023, 1, 31)]
    assert found["area_m2"].to_pylist() == [120.0, None]
    assert found["staff"].to_pylist() == [4, 5]
    assert found["extracted_on"].to_pylist() == [date(2024, 6, 1)] * 2
    assert "geometry" not in found.column_names


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
@pytest.mark.parametrize("suffix", [".csv", ".geojson"])
def test_chinese_map_coordinates_come_back_to_where_things_are(tmp_path, datum, suffix):
    shifted = from_wgs84(LAT, LON, datum)
    path = tmp_path / f"places{suffix}"
    frame = geopandas.GeoDataFrame(
        {"place_id": ["a", "b"], "category": ["school", "mall"]},
        geometry=geopandas.points_from_xy(shifted[1], shifted[0]),
        crs="EPSG:4326",
    )
    if suffix == ".csv":
        frame.drop(columns="geometry").assign(lat=shifted[0], lon=shifted[1]).to_csv(path, index=False)
    else:
        frame.to_file(path)
    found = read_points(path, "places", crs=datum)
    np.testing.assert_allclose(found["lat"].to_numpy(), LAT, atol=2e-7)
    np.testing.assert_allclose(found["lon"].to_numpy(), LON, atol=2e-7)


def test_of_a_building_a_point_inside_counts(tmp_path):
    walls = [shapely.box(one - 0.001, two - 0.001, one + 0.001, two + 0.001) for one, two in zip(LON, LAT, strict=True)]
    path = tmp_path / "shops.gpkg"
    _frame(shapes=walls).to_file(path)
    np.testing.assert_allclose(read_points(path, "stores")["lat"].to_numpy(), LAT, atol=1e-3)


def test_columns_are_found_under_the_names_they_have(tmp_path):
    path = tmp_path / "osm.csv"
    path.write_text("osm,name,y,x,kind\n11,Tea,31.1,121.2,cafe\n12,,30.5,120.5,bank\n", encoding="utf-8")
    named = {"place_id": "osm", "category": "kind", "lat": "y", "lon": "x"}
    found = read_points(path, "places", named)
    assert found["category"].to_pylist() == ["cafe", "bank"]
    assert found["name"].to_pylist() == ["Tea", None]
    assert found.schema.field("place_id").type == pa.string()


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path):
    path = tmp_path / "shops.csv"
    path.write_text("store_id,lat,lon,opened_on,area_m2\na,31,121,soon,-5\na,30,120,,12\n,30,120,2024-01-01,x\n")
    with pytest.raises(DataError) as caught:
        read_points(path, "stores")
    said = str(caught.value)
    for word in ("opened_on: found 1 values such as 'soon'", "opened_on: found 1 rows", "store_id: found 1 rows"):
        assert word in said
    for word in ("area_m2: found 2 values such as '-5', 'x'", "store_id: found 1 values a second time, such as a"):
        assert word in said


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("store_id,opened_on\na,2024-01-01\n", "lat: found no such column"),
        ("store_id,lat,lon,opened_on\na,north,400,2024-01-01\n", "lon: found 1 values that are no coordinate"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_table_of_points_is_refused(tmp_path, text, word):
    path = tmp_path / "shops.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=word):
        read_points(path, "stores")


def test_a_column_that_is_not_there_and_a_broken_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="OBJECTID: found no such column"):
        read_points(_written(tmp_path, ".csv"), "stores", {"store_id": "OBJECTID"})
    (tmp_path / "broken.geojson").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_points(tmp_path / "broken.geojson", "stores")
    with pytest.raises(DataError, match="no such file"):
        read_points(tmp_path / "none.csv", "stores")


def test_everything_wrong_with_the_call_is_said_at_once(tmp_path):
    with pytest.raises(UsageError) as caught:
        read_points(tmp_path / "shops.xlsx", "orders", crs="mars")
    for word in ("'orders'", "shops.xlsx", "'mars'"):
        assert word in str(caught.value)


def test_what_is_imported_passes_the_contracts_and_nothing_is_written_over(tmp_path):
    path, rows = import_points(_written(tmp_path, ".gpkg"), "stores", tmp_path / "brand")
    assert (path, rows) == (tmp_path / "brand" / "stores.parquet", 2)
    assert not check(open_folder(tmp_path / "brand"), datetime.now(UTC)).findings
    with pytest.raises(UsageError, match="already"):
        import_points(_written(tmp_path, ".csv"), "stores", tmp_path / "brand")


def test_the_command_imports(tmp_path):
    words = ["import", str(_written(tmp_path, ".csv")), "--table", "stores", "--into", str(tmp_path / "brand")]
    options = ["--crs", "gcj02", "--column", "store_id=store_id", "--extracted-on", "2024-06-01", "--json"]
    done = CliRunner().invoke(app, [*words, *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 2
    found = pq.read_table(tmp_path / "brand" / "stores.parquet")
    assert np.abs(found["lat"].to_numpy() - LAT).max() > 1e-4
    assert found["extracted_on"].to_pylist()[0] == date(2024, 6, 1)

"""Every line of curl on the front pages and of the page of the service is answered as it is shown."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pyarrow as pa
import pytest
from pyarrow import ipc

from serving.access.routes import Routes
from tests.serving.conftest import NAMES
from tests.serving.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.serving.whole.conftest import Whole

ROOT = Path(__file__).parents[3]
LINE = re.compile(r"^curl -s .*?http://127\.0\.0\.1:8000.*$", flags=re.MULTILINE)
FRONT = {line for page in ("README.md", "README.zh-CN.md") for line in LINE.findall((ROOT / page).read_text("utf-8"))}
EVERY = LINE.findall(
    (ROOT / "docs" / "service.md").read_text("utf-8").partition("## Every route")[2].partition("## ")[0]
)
LINES = sorted({line.partition("    #")[0].rstrip() for line in (*FRONT, *EVERY)})
PROMISED = {
    "/v1/scans/score",
    "/v1/members/{member_id}/offers",
    "/v1/sites/score",
    "/v1/events",
    "/v1/{task}/score",
    "/v1/coupon/batch",
    "/v1/decisions/{decision_id}",
    "/v1/models",
    "/v1/models/{task}/load",
    "/readyz",
    "/metrics",
}


class Shown(NamedTuple):
    """A service, and the folder in which lines are run beside it."""

    port: int
    folder: Path


@pytest.fixture(scope="module")
def shown(whole: Whole, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """With the offers of the example that the pages ask about, and rows of its features."""
    folder = tmp_path_factory.mktemp("lines")
    offers = {
        "SHEPHERD_TASK": "coupon",
        "SHEPHERD_OFFERS": str(home / "coupon.parquet"),
        "SHEPHERD_CAMPAIGNS": str(home / "campaigns.parquet"),
    }
    kept = {name: value for name, value in whole.variables.items() if name != "SHEPHERD_PRICES"}
    row = json.dumps(dict.fromkeys(NAMES, 1.0))
    (folder / "row.json").write_text(row)
    (folder / "rows.jsonl").write_text(f"{row}\n" * 3)
    table = pa.table({name: pa.array([1.0] * 3, pa.float32()) for name in NAMES})
    with ipc.new_stream(folder / "rows.arrow", table.schema) as writer:
        writer.write_table(table)
    with served(whole.home, **{**kept, **offers}) as server:
        yield Shown(server.port, folder)


def said(shown: Shown, line: str) -> tuple[int, str]:
    """The status and the body that a line gets."""
    if "DECISION_ID" in line:
        scan = {"scan_id": "looked-up", "ts": "2025-04-13T08:00:00Z", "code_id": "c", "status": "valid", "prize_fen": 5}
        found = httpx.post(f"http://127.0.0.1:{shown.port}/v1/scans/score", json=scan, timeout=30).json()
        line = line.replace("DECISION_ID", found["decision_id"])
    done = subprocess.run(  # noqa: S603 - the page's own line
        ["bash", "-c", line.replace(":8000", f":{shown.port}") + " -w '\\n%{http_code}'"],  # noqa: S607 - likewise
        cwd=shown.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_every_promised_route_is_shown() -> None:
    paths = [re.search(r":8000(/[^ ?]*)", line) for line in EVERY]
    found = [Routes().find(path[1]) for path in paths if path]

    assert {route.pattern for route in found if route} == PROMISED
    assert None not in found


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_answered(shown: Shown, line: str) -> None:
    status, body = said(shown, line)

    if status == 404:  # a member of the world of another page, which that page's own test walks through
        assert "/members/" in line
        assert "/1029/" not in line
        assert json.loads(body)["error"]["what"] == "This member is not known."
    else:
        assert status == 200, body


def test_a_batch_in_columns_is_kept_as_a_file(shown: Shown) -> None:
    (line,) = [one for one in EVERY if "answers.arrow" in one]

    assert said(shown, line)[0] == 200
    with ipc.open_stream(shown.folder / "answers.arrow") as reader:
        assert reader.read_all().num_rows == 3

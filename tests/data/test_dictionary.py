from __future__ import annotations

from pathlib import Path

import pytest

from data.contracts import TABLES
from data.dictionary import tables_page

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_the_page_is_what_the_contracts_say():
    assert PAGE.read_text(encoding="utf-8") == tables_page(), "run `make docs`"


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_column_of_every_table_is_described(table):
    section = tables_page().partition(f"## {table.name}\n")[2].partition("\n## ")[0]
    for column in table.columns:
        assert f"| `{column.name}` | {column.kind} |" in section
        assert column.meaning.replace("|", "\\|") in section

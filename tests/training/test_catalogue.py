"""Task files may be written like any module."""

from __future__ import annotations

from pathlib import Path

from training.catalogue import find

RENEWAL = Path(__file__).parent / "resources" / "renewal.py"


def test_a_task_file_may_declare_dataclasses(tmp_path):
    path = tmp_path / "mine.py"
    text = RENEWAL.read_text(encoding="utf-8")
    classed = "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Cost:\n    fen: int = 400\n"
    path.write_text(text.replace("from datetime import timedelta", f"from datetime import timedelta\n{classed}", 1))

    assert find(str(path)).name == "renewal"


def test_two_files_of_one_name_are_two_tasks(tmp_path):
    names = []
    for folder in ("one", "other"):
        path = tmp_path / folder / "mine.py"
        path.parent.mkdir()
        path.write_text(RENEWAL.read_text(encoding="utf-8").replace('name="renewal"', f'name="{folder}"'))
        names.append(find(str(path)).name)

    assert names == ["one", "other"]

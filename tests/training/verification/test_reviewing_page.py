"""Every command of docs/reviewing.md, in its order, on a home small enough; `mlflow ui`, which ends by hand, aside."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.errors import ShepherdError
from serving.bundle import read, resolve
from shepherd import app
from training.promotions import promotions
from training.registry import gates

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reviewing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
TRAIN, GATES, VERIFY, SIGN, OVERRIDE, BACK = BLOCKS
RENEWAL = ROOT / "tests" / "training" / "resources" / "renewal.py"
BUNDLES = Path("var") / "bundles"


def run(block, **words):
    """The first line of a block in this process; gives what it prints and its exit code."""
    line = block.splitlines()[0].partition(" > ")[0]
    for name, value in words.items():
        line = line.replace(name, value)
    line = line.replace("--task fraud", f"--task {RENEWAL} --data brand --trials 1").replace(" fraud", " renewal")
    program, *given = shlex.split(line)
    assert program == "shepherd"
    done = CliRunner().invoke(app, given)
    if isinstance(done.exception, ShepherdError):
        return str(done.exception), done.exception.exit_code
    assert done.exception is None, done.exception
    return done.stdout, 0


@pytest.fixture
def folder(tmp_path, monkeypatch, written_contracts):
    monkeypatch.chdir(tmp_path)
    written_contracts(tmp_path / "brand")
    return tmp_path


def test_the_commands_of_the_page_lead_from_a_run_to_a_signature_and_back(folder):
    trained = json.loads(run(TRAIN)[0].splitlines()[-1])
    manifest = read(resolve(BUNDLES, "renewal", "challenger")).manifest
    refused = [gate.name for gate in gates(manifest) if not gate.passed]
    said, code = run(GATES)
    assert code == (4 if refused else 0)
    assert all(name in said for name in refused)

    equal, code = run(VERIFY, **{"$RUN": trained["run_id"]})
    assert (code, "is equal to what was derived again" in equal) == (0, True)
    _, code = run(SIGN)
    assert code == (4 if refused else 0)
    _sign_over(refused)
    first = resolve(BUNDLES, "renewal", "champion").name
    json.loads(run(TRAIN.replace("--json", "--json --seed 3"))[0].splitlines()[-1])
    manifest = read(resolve(BUNDLES, "renewal", "challenger")).manifest
    _sign_over([gate.name for gate in gates(manifest) if not gate.passed])

    said, code = run(BACK)
    assert (code, said.strip()) == (0, f"renewal is back at {first}.")
    line = promotions(BUNDLES / "renewal")[-1]
    assert (line.action, line.version, line.by, line.reason) == ("back", first, "Li Na", "complaints since noon")
    assert (folder / "var" / "mlflow.db").exists()


def _sign_over(refused):
    """Sign, passing over whatever refuses on so few rows; without a refusal, the way of the page that has none."""
    words = " ".join(f'--override "{name}"' for name in refused)
    done = run(OVERRIDE, **{'--override "worst slice"': words})
    assert done[1] == 0, done
    assert promotions(BUNDLES / "renewal")[-1].by == "Li Na"

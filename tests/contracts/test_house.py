"""Rules of the house that no other tool holds: what may be written where, and that the holders do hold."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("data", "features", "serving", "training")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Written in pieces, so that this file keeps the rule that it tests.
MACHINE_PATH = re.compile(
    r"(?<![\w.~])(?:" + "|".join(("/" + "home/", "/" + "root/", "/" + "work/", "/" + "tmp/", "/" + "Users/")) + ")"
    r"|\b[A-Z]:\\\\?[A-Z]" + "(?:sers|indows)"
)
REGISTRY = re.compile("|".join((r"pypi\." + "org", "python" + "hosted", r"conda\." + "anaconda", r"ghcr\." + "io")))
LINK = re.compile(r"[a-z+]+://|(?:^|\s)(?:-i|-f|--[a-z-]*(?:index|links|host)[a-z-]*)\b", flags=re.MULTILINE)


def _tracked():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    return [ROOT / name for name in done.stdout.split("\0") if name]


def _texts():
    for path in _tracked():
        if path.is_file():
            # What a picture says of itself lies in it as text.
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def _hits(pattern):
    return [
        f"{name}:{number}"
        for name, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_tracked_file_names_a_path_of_a_machine():
    assert _hits(MACHINE_PATH) == []


def test_no_tracked_file_names_a_host_of_a_registry():
    assert _hits(REGISTRY) == []


@pytest.mark.parametrize("text", ["see /" + "home/ann/x", "'/" + "tmp/x'", "C:\\" + "Users\\ann"])
def test_a_path_of_a_machine_would_be_seen(text):
    assert MACHINE_PATH.search(text)


def test_a_host_of_a_registry_would_be_seen():
    assert REGISTRY.search("https://pypi." + "org/simple")


def test_what_git_ignores_is_what_runs_write():
    ignored = [f"{name}/x" for name in ("var", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache")]
    done = subprocess.run(["git", "check-ignore", *ignored], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607

    assert done.stdout.split() == ignored
    assert not [name for name, _ in _texts() if name.startswith("var/")]


def _listed(*path):
    part = PYPROJECT
    for key in path:
        part = part[key]
    return part


def _reason(item):
    """The comment on the line of pyproject.toml that lists this text."""
    lines = [line for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines() if f'"{item}"' in line]
    return [line.partition("#")[2].strip() for line in lines]


REQUIREMENTS = [
    *_listed("build-system", "requires"),
    *_listed("project", "dependencies"),
    *(item for extra in _listed("project", "optional-dependencies").values() for item in extra),
]


@pytest.mark.parametrize("item", [item for item in REQUIREMENTS if not item.startswith("shepherd[")])
def test_every_dependency_says_why_it_is_there(item):
    assert all(len(reason) > 8 for reason in _reason(item)), item


@pytest.mark.parametrize("item", _listed("tool", "ruff", "lint", "ignore"))
def test_every_rule_that_is_ignored_everywhere_says_why(item):
    assert all(len(reason) > 8 for reason in _reason(item)), item


def test_every_rule_that_is_ignored_somewhere_says_why():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("[tool.ruff.lint.per-file-ignores]")[2].partition("\n[")[0]
    rules = [line for line in block.splitlines() if re.search(r'"[A-Z]+\d*"', line)]

    assert len(rules) >= sum(map(bool, _listed("tool", "ruff", "lint", "per-file-ignores").values()))
    assert [line for line in rules if "#" not in line] == []


def test_every_warning_that_is_let_through_says_why_and_until_when():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    let_through = [number for number, line in enumerate(lines) if line.strip().startswith('"ignore:')]

    assert len(let_through) == len(_listed("tool", "pytest", "ini_options", "filterwarnings")) - 1
    assert [lines[number] for number in let_through if "goes when" not in lines[number - 1]] == []


@pytest.mark.parametrize("name", ["dev", "serve"])
def test_a_lock_has_hashes_for_every_package_and_names_no_host(name):
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    packages = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]

    assert len(packages) > 20
    for package in packages:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", package), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", package), package.splitlines()[0]
    assert LINK.search(re.sub(r"--hash=\S+", "", text)) is None


@pytest.mark.parametrize(("name", "extras"), [("dev", ("serve", "train", "cluster", "dev")), ("serve", ("serve",))])
def test_a_lock_holds_every_dependency_that_is_declared(name, extras):
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    locked = {_canonical(line) for line in re.findall(r"(?m)^([A-Za-z0-9._-]+)", text)}
    declared = [*_listed("project", "dependencies")]
    for extra in extras:
        declared += _listed("project", "optional-dependencies", extra)

    assert {_canonical(item) for item in declared} - {"shepherd"} - locked == set()


def _canonical(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.py")), ids=lambda path: path.stem)
def test_a_notebook_defines_nothing(path):
    text = path.read_text(encoding="utf-8")
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda

    assert text.startswith("# ---\n# jupyter:")
    assert [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, definitions)] == []


def test_tests_are_no_packages_and_their_names_are_their_own():
    files = [path for path in _tracked() if path.is_relative_to(ROOT / "tests") and path.suffix == ".py"]
    names = [path.name for path in files if path.name != "conftest.py"]

    assert not [path for path in files if path.name == "__init__.py"]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_path_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text))
    elsewhere = re.compile(r"var/|path/|\.venv/|.*[A-Z]{4}")  # what runs write, and names to be filled in

    assert named
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / "docs" / name).exists()]
    assert sorted(name for name in missing if not elsewhere.match(name)) == []


@pytest.fixture
def tree(tmp_path):
    """A copy of what import-linter reads, to be broken."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("shepherd.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def _broken(tree):
    """The contracts that are broken in a copy, by their names."""
    done = subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tree), "COLUMNS": "200", "NO_COLOR": "1"},
    )
    verdicts = dict(re.findall(r"^(.*?) (KEPT|BROKEN)\b", done.stdout, flags=re.MULTILINE))
    assert set(verdicts) == set(CONTRACTS), done.stdout + done.stderr
    assert done.returncode == int("BROKEN" in verdicts.values())
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}


CONTRACTS = [contract["name"] for contract in _listed("tool", "importlinter", "contracts")]
DOWN, LIGHT, EDGE, MLFLOW = (
    "Imports flow down only",
    "The online path stays light",
    "Only bundles, export, formulas and payoff meet serving",
    "Only tracking and registry speak to MLflow",
)
BREAKS = [
    (DOWN, "data/values.py", "import features.spec"),
    (DOWN, "features/window.py", "from serving import decisions"),
    (DOWN, "serving/reasons.py", "def late():\n    import training.task"),
    (LIGHT, "serving/scorer.py", "import pandas"),
    (LIGHT, "features/kernel.py", "from sklearn import metrics"),
    (LIGHT, "data/errors.py", "import duckdb"),
    (EDGE, "training/walk.py", "from serving.scorer import Scorer"),
    (MLFLOW, "training/pipeline.py", "import mlflow"),
    (MLFLOW, "training/release.py", "from mlflow import MlflowClient"),
]


def test_the_copy_keeps_every_contract(tree):
    assert _broken(tree) == set()


def test_every_contract_is_broken_by_one_of_these():
    assert {contract for contract, _, _ in BREAKS} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "module", "statement"), BREAKS)
def test_a_broken_contract_is_caught(tree, contract, module, statement):
    with (tree / module).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{statement}\n")

    assert contract in _broken(tree)

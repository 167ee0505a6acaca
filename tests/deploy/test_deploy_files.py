"""The files of other formats: what they name is there."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from serving.settings import Settings
from serving.telemetry.metrics import Metrics
from shepherd import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
METRIC = re.compile(r"\bshepherd_[a-z_]+")
DOCKERFILE = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text(encoding="utf-8"))["groups"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def asked() -> list[str]:
    """Every question of the dashboard and the rules."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return panels + variables + [rule["expr"] for group in RULES for rule in group["rules"]]


def instructions(word: str) -> list[str]:
    return re.findall(rf"(?m)^{word} (.*)$", DOCKERFILE)


def options_of(words: list[str]) -> dict[str, Any]:
    """What the command line makes of words; it refuses what it does not know."""
    command = typer.main.get_command(app).commands[words[0]]
    with command.make_context(words[0], words[1:]) as context:
        return dict(context.params)


@pytest.mark.parametrize("expression", asked())
def test_a_question_names_metrics_that_there_are(expression: str) -> None:
    named = set(METRIC.findall(expression))

    assert named
    assert named <= Metrics().names()
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_every_metric_is_looked_at() -> None:
    looked = {re.sub("_(bucket|sum|count)$", "", name) for one in asked() for name in METRIC.findall(one)}

    assert {re.sub("_(bucket|sum|count)$", "", name) for name in Metrics().names()} == looked


def test_a_metric_that_is_none_would_be_seen() -> None:
    assert not set(METRIC.findall("rate(shepherd_decision_total[5m])")) <= Metrics().names()


def test_every_rule_says_what_it_is_about() -> None:
    rules = [rule for group in RULES for rule in group["rules"]]

    assert len({rule["alert"] for rule in rules}) == len(rules) >= 8
    assert all(rule["labels"]["severity"] in {"page", "ticket"} for rule in rules)
    assert all(rule["annotations"]["summary"].endswith(".") for rule in rules)


def test_panels_have_places_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]

    assert len(set(places)) == len(places) == len({panel["id"] for panel in DASHBOARD["panels"]})


def test_what_the_image_copies_is_there() -> None:
    copied = [shlex.split(one)[:-1] for one in instructions("COPY") if not one.startswith("--from=")]

    assert {"serving", "features", "data", "requirements/serve.lock"} <= {path for paths in copied for path in paths}
    assert [path for paths in copied for path in paths if not (ROOT / path).exists()] == []


def test_the_image_is_of_hashed_packages_and_nobody_s_root() -> None:
    stages = [one.split() for one in instructions("FROM")]
    installed = [one for one in instructions("RUN") if "pip install" in one]
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]

    assert {words[0] for words in stages} == {"python:3.12-slim"}
    assert installed
    assert all("--require-hashes" in one and "--only-binary :all:" in one for one in installed)
    assert stages[-1][-1] == "serve"
    assert re.search(r"(?m)^USER shepherd$", last)
    assert "/readyz" in last.partition("HEALTHCHECK")[2]
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= {words[-1] for words in stages}


def test_the_image_starts_a_real_command() -> None:
    entry, command = (json.loads(instructions(word)[-1]) for word in ("ENTRYPOINT", "CMD"))

    assert entry == ["python", "-m", "shepherd"]
    assert options_of(command)["host"] == "0.0.0.0"  # noqa: S104 - a container's own


def test_the_composition_parses_and_names_what_is_there() -> None:
    services = COMPOSE["services"]
    stages = {one.split()[-1] for one in instructions("FROM")}

    assert set(services) == {"shepherd", "valkey", "mlflow"}
    for service in services.values():
        assert ("build" in service) != ("image" in service)
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert {mount.partition(":")[0] for mount in service["volumes"]} <= set(COMPOSE["volumes"])
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert context == ROOT
            assert (context / service["build"]["dockerfile"]).is_file()
            assert service["build"]["target"] in stages
    assert set(services["shepherd"]["depends_on"]) <= set(services)


def test_the_variables_that_the_composition_sets_are_read() -> None:
    for name in COMPOSE["services"]["shepherd"]["environment"]:
        assert name.removeprefix("SHEPHERD_").lower() in Settings.model_fields


def unit_of(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / name, encoding="utf-8")
    return unit


def command_of(unit: configparser.ConfigParser) -> dict[str, Any]:
    """What a unit starts, as the command line understands it; the unit gains nothing."""
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "shepherd"
    assert unit["Service"]["User"] == "shepherd"
    for name in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "RestrictNamespaces", "LockPersonality"):
        assert unit["Service"][name] == "yes"
    assert unit["Service"]["ProtectSystem"] == "strict"
    assert unit["Service"]["CapabilityBoundingSet"] == ""
    return {"": words[0], **options_of(words)}


def test_the_unit_starts_a_real_command_and_is_hardened() -> None:
    unit = unit_of("shepherd.service")

    started = command_of(unit)

    assert (started[""], started["host"]) == ("serve", "127.0.0.1")
    assert float(unit["Service"]["TimeoutStopSec"]) >= 10


def test_the_timer_takes_snapshots_of_the_very_service() -> None:
    service, snapshot, timer = (
        unit_of(f"shepherd{end}") for end in (".service", "-snapshot.service", "-snapshot.timer")
    )
    taken, served = command_of(snapshot), command_of(service)

    assert (taken[""], taken["home"]) == ("snapshot", served["home"])
    assert snapshot["Unit"]["Requisite"] == "shepherd.service"
    assert snapshot["Service"]["ReadWritePaths"] == str(taken["home"])
    for name in ("EnvironmentFile", "Environment", "WorkingDirectory", "UMask"):
        assert snapshot["Service"][name] == service["Service"][name]
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert timer["Timer"]["OnUnitActiveSec"]

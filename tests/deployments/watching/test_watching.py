"""The rules and the dashboard that are kept for who watches the service."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tasks.database.monitoring import BACKUP, ROUND, beat
from tests.support.api import Door, done, served
from tests.support.programs import program

pytestmark = pytest.mark.requirement("RUN-07")

ROOT = Path(__file__).parents[3]
WATCHING = ROOT / "deployments/watching"
RULES: list[dict[str, Any]] = yaml.safe_load((WATCHING / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((WATCHING / "dashboard.json").read_text())
# The series of Prometheus itself, one a scrape.
ITS_OWN = {"up"}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """The labels of each series of /metrics, by name."""
    with served(tmp_path_factory.mktemp("scraped"), backup_dir=tmp_path_factory.mktemp("backups")) as door:
        yield _series(door)


def _series(door: Door) -> dict[str, set[str]]:
    beat(door.study.store, ROUND, door.now)
    beat(door.study.store, BACKUP, door.now - timedelta(hours=1))
    door.enrol()
    door.post(done("INF3", door.now))
    text = door.get("/metrics").text
    named: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        # A family without samples has a name all the same.
        suffix = "_total" if family.type == "counter" else ""
        named.setdefault(f"{family.name}{suffix}", set())
        for sample in family.samples:
            named.setdefault(sample.name, set()).update(sample.labels)
    assert "ITP-001" not in text
    return named


def _named(expression: str) -> set[str]:
    return set(re.findall(r"\b(itp_\w+|up)\b(?!=)", re.sub(r'"[^"]*"', "", expression)))


EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_series_that_is_asked_for_is_served(expression: str, scraped: dict[str, set[str]]) -> None:
    assert _named(expression)
    assert _named(expression) <= scraped.keys() | ITS_OWN


def test_no_series_has_a_subject_among_its_labels(scraped: dict[str, set[str]]) -> None:
    labels = set().union(*scraped.values())
    assert labels <= {"type", "rule", "status", "outcome", "le"}


def test_everything_that_is_served_is_looked_at(scraped: dict[str, set[str]]) -> None:
    asked = set().union(*map(_named, EXPRESSIONS))
    parts = {"itp_wake_lateness_seconds_count", "itp_wake_lateness_seconds_sum"}
    families = {name for name in scraped if not name.endswith("_created")}
    assert families - parts - {"itp_wake_lateness_seconds"} <= asked


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text(encoding="utf-8")


def test_the_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    promtool = program("promtool")
    cases = Path(__file__).with_name("alerts_test.yaml")
    tested = {
        each["alertname"]
        for case in yaml.safe_load(cases.read_text())["tests"]
        for each in case["alert_rule_test"]
        if each.get("exp_alerts")
    }
    assert tested == {rule["alert"] for rule in RULES}
    shutil.copy(cases, tmp_path)
    shutil.copy(WATCHING / "alerts.yaml", tmp_path)
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", cases.name]):
        run = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 0, run.stdout + run.stderr


def test_the_dashboard_has_room_for_each_of_its_panels() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for place in (
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        ):
            assert place not in taken, (panel["title"], taken[place])
            taken[place] = panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
